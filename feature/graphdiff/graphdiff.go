// Package graphdiff compares two graphs, as Metaxy's graph-diff does: by the definitions of their features, and the versions
// of their fields.
package graphdiff

import (
	"maps"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Status says what became of a feature or a field.
type Status string

// What a feature or field can be.
const (
	Added     Status = "added"
	Removed   Status = "removed"
	Changed   Status = "changed"
	Unchanged Status = "unchanged"
)

// A Change is what became of a feature.
type Change struct {
	// Key is the feature's key.
	Key feature.Key
	// Status is Changed if anything in the feature's own definition has, whether versions follow from it or not. A feature
	// that only follows its parents is Unchanged, and has other versions.
	Status Status
	// From and To are the feature before and after; nil where it is not.
	From, To *feature.Feature
	// Fields are the fields that were added, removed, or have another version, in that order and by key.
	Fields []FieldChange
}

// Versioned reports whether the feature version has changed, so that no row that is stored counts any more.
func (c *Change) Versioned() bool {
	return c.From != nil && c.To != nil && c.From.Version() != c.To.Version()
}

// A FieldChange is what became of a field.
type FieldChange struct {
	// Key is the field's key.
	Key feature.Key
	// Status is never Unchanged.
	Status Status
	// OldVersion and NewVersion are the field versions; "" where there is no field.
	OldVersion, NewVersion string
	// OldCodeVersion and NewCodeVersion are the code versions; "" where there is no field.
	OldCodeVersion, NewCodeVersion string
}

// Compare returns what became of every feature of two graphs, in the order of key. Both graphs must cut their hashes to one length.
func Compare(from, to *feature.Graph) []Change {
	changes := map[feature.Key]*Change{}
	at := func(key feature.Key) *Change {
		if changes[key] == nil {
			changes[key] = &Change{Key: key}
		}
		return changes[key]
	}
	for f := range from.All() {
		at(f.Key()).From = f
	}
	for f := range to.All() {
		at(f.Key()).To = f
	}
	var out []Change
	for _, c := range changes {
		c.judge()
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Change) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return out
}

func (c *Change) judge() {
	switch {
	case c.From == nil:
		c.Status = Added
	case c.To == nil:
		c.Status = Removed
	case c.From.DefinitionVersion() != c.To.DefinitionVersion():
		c.Status = Changed
		c.Fields = fieldChanges(c.From, c.To)
	default:
		c.Status = Unchanged
		c.Fields = fieldChanges(c.From, c.To)
	}
}

func fieldChanges(from, to *feature.Feature) []FieldChange {
	before, after := fields(from), fields(to)
	var added, removed, changed []FieldChange
	for _, key := range slices.Sorted(maps.Keys(union(before, after))) {
		old, was := before[key]
		now, is := after[key]
		c := FieldChange{Key: key, OldCodeVersion: old.CodeVersion, NewCodeVersion: now.CodeVersion}
		if was {
			c.OldVersion = from.FieldVersion(key)
		}
		if is {
			c.NewVersion = to.FieldVersion(key)
		}
		switch {
		case !was:
			c.Status = Added
			added = append(added, c)
		case !is:
			c.Status = Removed
			removed = append(removed, c)
		case c.OldVersion != c.NewVersion:
			c.Status = Changed
			changed = append(changed, c)
		}
	}
	return slices.Concat(added, removed, changed)
}

func fields(f *feature.Feature) map[feature.Key]feature.Field {
	out := map[feature.Key]feature.Field{}
	for _, field := range f.Spec().Fields {
		out[field.Key] = field
	}
	return out
}

func union(a, b map[feature.Key]feature.Field) map[feature.Key]feature.Field {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
