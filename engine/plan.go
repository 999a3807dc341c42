package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var (
	// ErrPlan reports a feature or options from which no increment can be made, whatever rows the tables hold.
	ErrPlan = errors.New("engine: cannot plan")
	// ErrRows reports rows that lack something they need.
	ErrRows = errors.New("engine: unusable rows")
)

// A plan says what to read for a resolve and what to make of it. It is made from the feature and the tables' columns
// alone.
type plan struct {
	feature *feature.Feature
	options Options
	hashing Hashing
	// sources are where expected samples come from: the parents in the spec's order, or the given samples alone.
	sources []source
	// order is the order in which the sources are joined: the required ones first, those without a table not at all.
	order []int
	// join are the columns of the expected samples that relate the sources.
	join []frameKey
	// compare are the columns by which expected samples are compared with stored ones.
	compare []frameKey
	// target is the feature's own table; nil when there is none, or nothing is compared.
	target *tableScan
	// targetCompare are the target's keys that correspond to compare.
	targetCompare []int
	// division is how the samples are divided among shards; nil for by a hash.
	division *store.Division
	versions versionPlan
	expected frame
	stored   frame // of orphaned samples
}

// A source is a parent's table, or the samples that the caller gave.
type source struct {
	name     string // for messages
	scan     tableScan
	columns  []sourceColumn
	optional bool
	samples  *samples // nil for a parent
}

// A sourceColumn is a column that a source gives to the expected samples.
type sourceColumn struct {
	name   string // in the expected sample
	stored string // in the source; "" for one that is always null
	typ    arrow.DataType
}

// A frameKey is a column of the expected samples with the keys of the sources that it can come from. The first source
// that a sample has a row of gives the value.
type frameKey struct {
	name  string
	from  []sourceKey
	class keyClass
}

// A sourceKey is a key column of a source.
type sourceKey struct{ source, key int }

// newPlan plans the resolve of f. Snapshots of parents are in the spec's order, nil where an optional parent has no
// table; target is nil when there is no table, or nothing is to be compared.
func newPlan(
	f *feature.Feature, o Options, given *samples, parents []store.Snapshot, target store.Snapshot) (*plan, error,
) {
	p := &plan{feature: f, options: o, hashing: o.Hashing}
	err := p.addSources(given, parents)
	if err == nil {
		err = p.planJoin()
	}
	if err == nil {
		err = p.planVersions()
	}
	if err == nil {
		err = p.planTarget(target)
	}
	if err == nil {
		p.planFrames(target)
	}
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", f.Key(), err)
	}
	return p, nil
}

// checkFeature refuses features that have no increment.
func checkFeature(f *feature.Feature, o Options) error {
	if err := f.CheckUse(); err != nil {
		return fmt.Errorf("resolve %q: %w: %w", f.Key(), ErrPlan, err)
	}
	if f.Root() && o.Samples == nil {
		return fmt.Errorf("resolve %q: %w: a root feature has no parents to take samples from; give the expected samples, "+
			"as ingest does", f.Key(), ErrPlan)
	}
	if len(specFields(f)) == 0 {
		return fmt.Errorf("resolve %q: %w: a feature without fields has no versions; declare at least one field",
			f.Key(), ErrPlan)
	}
	tables := make(map[string]feature.Key)
	for _, p := range f.Parents() {
		k := p.Feature.Key()
		if other, ok := tables[k.Table()]; ok {
			return fmt.Errorf("resolve %q: %w: the parents %q and %q have one table name, %q; rename one of them",
				f.Key(), ErrPlan, other, k, k.Table())
		}
		tables[k.Table()] = k
	}
	return nil
}

// idColumns are the feature's id columns, each once.
func idColumns(f *feature.Feature) []string { return distinct(f.Spec().IDColumns) }

func distinct(names []string) []string {
	out := make([]string, 0, len(names))
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// specFields are the feature's fields.
func specFields(f *feature.Feature) []feature.Field { return f.Spec().Fields }
