package pipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ContextData is what Dagster told this process about its step. A session's ContextData is never nil, also not in a
// process that Dagster did not launch; there it is empty. It must not be changed. The methods give single values with
// an error if the step has none or many; the fields are for programs that handle several assets.
type ContextData struct {
	// RunID identifies the Dagster run; "" without Dagster.
	RunID string
	// JobName names the Dagster job; "" if there is none.
	JobName string
	// RetryNumber counts the retries of the step; 0 is the first attempt.
	RetryNumber int
	// AssetKeys are the escaped keys of the selected assets; nil if the step is a plain op. Split them by
	// ParseAssetKey.
	AssetKeys []string
	// CodeVersions are the declared code versions by escaped asset key; an asset without one is absent.
	CodeVersions map[string]string
	// Provenances describe the latest materializations by escaped asset key; an asset without one is absent.
	Provenances map[string]Provenance
	// Partition is the step's partition key; "" if it has none, or a range of several.
	Partition string
	// KeyRange is the range of the step's partition keys; nil if the step is not partitioned.
	KeyRange *KeyRange
	// Window is the time range of the step's partitions; nil if they are not made of time.
	Window *TimeWindow
	// Extras are the user's values, as JSON; nil if there are none.
	Extras map[string]json.RawMessage
}

// Provenance is the version information of an asset's latest materialization.
type Provenance struct {
	// CodeVersion is the code version that made it, or the id of its run if none was declared.
	CodeVersion string `json:"code_version"`
	// InputDataVersions are the data versions of its inputs by escaped asset key; nil if it had no inputs.
	InputDataVersions map[string]string `json:"input_data_versions"`
	// UserProvided reports whether the data version was reported by a program; false means that Dagster computed it.
	UserProvided bool `json:"is_user_provided"`
}

// KeyRange is an inclusive range of partition keys.
type KeyRange struct {
	// Start is the first key of the range; keys may be empty.
	Start string `json:"start"`
	// End is the last key of the range, equal to Start for a single partition.
	End string `json:"end"`
}

// TimeWindow is the time range that partitions cover.
type TimeWindow struct {
	// Start belongs to the range; the zero time is not used by Dagster.
	Start time.Time
	// End does not belong to the range; the zero time is not used by Dagster.
	End time.Time
}

// UnmarshalJSON reads the orchestrator's context. Unknown keys are ignored; a missing key counts as null.
func (d *ContextData) UnmarshalJSON(data []byte) error {
	o, err := decodeObject(data)
	if err != nil {
		return err
	}
	var errs [10]error
	var c ContextData
	c.RunID, errs[0] = member[string](o, "run_id")
	c.JobName, errs[1] = member[string](o, "job_name")
	c.RetryNumber, errs[2] = member[int](o, "retry_number")
	c.AssetKeys, errs[3] = member[[]string](o, "asset_keys")
	c.CodeVersions, errs[4] = nullable[string](o, "code_version_by_asset_key")
	c.Provenances, errs[5] = nullable[Provenance](o, "provenance_by_asset_key")
	c.Partition, errs[6] = member[string](o, "partition_key")
	c.KeyRange, errs[7] = member[*KeyRange](o, "partition_key_range")
	c.Window, errs[8] = member[*TimeWindow](o, "partition_time_window")
	c.Extras, errs[9] = member[map[string]json.RawMessage](o, "extras")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	*d = c
	return nil
}

// nullable reads an object whose null members count as absent.
func nullable[T any](o object, key string) (map[string]T, error) {
	pointers, err := member[map[string]*T](o, key)
	if pointers == nil {
		return nil, err
	}
	values := make(map[string]T, len(pointers))
	for k, p := range pointers {
		if p != nil {
			values[k] = *p
		}
	}
	return values, err
}

// MarshalJSON writes the context as the orchestrator does, with all ten keys. Tests and launchers of other programs
// need it.
func (d ContextData) MarshalJSON() ([]byte, error) {
	o := map[string]any{
		"run_id":                    d.RunID,
		"job_name":                  orNull(d.JobName, d.JobName != ""),
		"retry_number":              d.RetryNumber,
		"asset_keys":                d.AssetKeys,
		"code_version_by_asset_key": withNulls(d.AssetKeys, d.CodeVersions),
		"provenance_by_asset_key":   withNulls(d.AssetKeys, d.Provenances),
		"partition_key":             orNull(d.Partition, d.hasPartition()),
		"partition_key_range":       d.KeyRange,
		"partition_time_window":     d.Window,
		"extras":                    map[string]json.RawMessage{},
	}
	if d.Extras != nil {
		o["extras"] = d.Extras
	}
	return marshal(o)
}

// orNull returns v if it is there, else nil.
func orNull[T any](v T, there bool) any {
	if !there {
		return nil
	}
	return v
}

// withNulls returns values with a null for each asset that has none, or null for a step without assets.
func withNulls[T any](assets []string, values map[string]T) any {
	if assets == nil && values == nil {
		return nil
	}
	o := make(map[string]any, len(assets))
	for _, key := range assets {
		o[key] = nil
	}
	for key, v := range values {
		o[key] = v
	}
	return o
}

// MarshalJSON writes the provenance with an empty object for a nil map.
func (p Provenance) MarshalJSON() ([]byte, error) {
	type plain Provenance
	if p.InputDataVersions == nil {
		p.InputDataVersions = map[string]string{}
	}
	return marshal(plain(p))
}

// isoLayouts are the forms that Python's isoformat gives a time; zones of old may have offsets with seconds.
var isoLayouts = [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z07:00:00"}

// UnmarshalJSON reads two ISO 8601 times with an offset.
func (w *TimeWindow) UnmarshalJSON(data []byte) error {
	o, err := decodeObject(data)
	if err != nil {
		return err
	}
	var errs [2]error
	w.Start, errs[0] = isoTime(o, "start")
	w.End, errs[1] = isoTime(o, "end")
	return errors.Join(errs[:]...)
}

// isoTime reads the time under a key.
func isoTime(o object, key string) (time.Time, error) {
	text, err := member[string](o, key)
	if err != nil {
		return time.Time{}, err
	}
	for _, layout := range isoLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("read %q: expected an ISO 8601 time with an offset, got %q", key, text)
}

// MarshalJSON writes the times as Python's isoformat does.
func (w TimeWindow) MarshalJSON() ([]byte, error) {
	const layout = "2006-01-02T15:04:05.999999-07:00"
	return marshal(map[string]string{"start": w.Start.Format(layout), "end": w.End.Format(layout)})
}

// Extra decodes the user's extra under key into v, which must be a pointer, and reports whether there is one. Numbers
// that go into an interface become json.Number, so that no digit is lost.
func (d *ContextData) Extra(key string, v any) (bool, error) {
	raw, ok := d.Extras[key]
	if !ok {
		return false, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return true, fmt.Errorf("read extra %q: %w", key, err)
	}
	return true, nil
}
