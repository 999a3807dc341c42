package pipes

import (
	"errors"
	"fmt"
	"slices"
)

// ErrScope is wrapped by errors about a value that the step does not have, or has several of.
var ErrScope = errors.New("pipes: not in the scope of this step")

// IsAssetStep reports whether the step computes assets; a plain op does not.
func (d *ContextData) IsAssetStep() bool {
	return d.AssetKeys != nil
}

// IsPartitionStep reports whether the step targets partitions.
func (d *ContextData) IsPartitionStep() bool {
	return d.KeyRange != nil
}

// AssetKey returns the escaped key of the step's only asset, or an error wrapping [ErrScope].
func (d *ContextData) AssetKey() (string, error) {
	switch {
	case d.AssetKeys == nil:
		return "", fmt.Errorf("%w: the step targets no asset", ErrScope)
	case len(d.AssetKeys) != 1:
		return "", fmt.Errorf("%w: the step targets %d assets %q, not one", ErrScope, len(d.AssetKeys), d.AssetKeys)
	}
	return d.AssetKeys[0], nil
}

// CodeVersion returns the declared code version of the step's only asset, "" if none is declared, or an error wrapping
// [ErrScope].
func (d *ContextData) CodeVersion() (string, error) {
	key, err := d.AssetKey()
	return d.CodeVersions[key], err
}

// Provenance returns the provenance of the step's only asset, nil if it was never materialized, or an error wrapping
// [ErrScope].
func (d *ContextData) Provenance() (*Provenance, error) {
	key, err := d.AssetKey()
	if err != nil {
		return nil, err
	}
	if p, ok := d.Provenances[key]; ok {
		return &p, nil
	}
	return nil, nil
}

// PartitionKey returns the step's partition key, or an error wrapping [ErrScope] if there is none or a range of them.
// The key of a multi-partition joins its dimensions' keys by "|" in the order of the dimensions' names.
func (d *ContextData) PartitionKey() (string, error) {
	switch {
	case d.hasPartition():
		return d.Partition, nil
	case d.KeyRange != nil:
		return "", fmt.Errorf("%w: the step targets the partitions %q to %q, not one", ErrScope,
			d.KeyRange.Start, d.KeyRange.End)
	}
	return "", fmt.Errorf("%w: the step targets no partition", ErrScope)
}

// hasPartition tells an empty partition key from none.
func (d *ContextData) hasPartition() bool {
	return d.Partition != "" || d.KeyRange != nil && *d.KeyRange == KeyRange{}
}

// PartitionKeyRange returns the range of the step's partition keys, or an error wrapping [ErrScope].
func (d *ContextData) PartitionKeyRange() (KeyRange, error) {
	if d.KeyRange == nil {
		return KeyRange{}, fmt.Errorf("%w: the step targets no partition", ErrScope)
	}
	return *d.KeyRange, nil
}

// PartitionTimeWindow returns the time range of the step's partitions, nil if they are not made of time, or an error
// wrapping [ErrScope] if the step is not partitioned.
func (d *ContextData) PartitionTimeWindow() (*TimeWindow, error) {
	if d.KeyRange == nil {
		return nil, fmt.Errorf("%w: the step targets no partition", ErrScope)
	}
	return d.Window, nil
}

// resolveAsset returns the asset that a report is about: the given key, which must be one of the step's if it has any,
// or else the step's only asset.
func (d *ContextData) resolveAsset(given string) (string, error) {
	switch {
	case given == "" && len(d.AssetKeys) == 0:
		return "", fmt.Errorf("%w: the step targets no asset, so the report has to name one", ErrScope)
	case given == "":
		return d.AssetKey()
	case len(d.AssetKeys) > 0 && !slices.Contains(d.AssetKeys, given):
		return "", fmt.Errorf("%w: asset key %q is not one of %q", ErrScope, given, d.AssetKeys)
	}
	return given, nil
}
