// Package forecast says how many samples will be computed again when a graph takes the place of another one, before
// anything runs.
//
// It resolves every feature that the change reaches, parents first, under the new graph. The parents are seen as they
// will be: rows of the old version of a feature as rows of the new one, with the versions that their next computation
// will give them. So a feature far below a change is counted as exactly as one that has changed itself, as long as
// processors give back one row for each sample and set no data versions of their own.
package forecast

import (
	"context"
	"errors"
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Forecast is what will become of a feature's samples.
type Forecast struct {
	// Feature is the feature in the new graph.
	Feature *feature.Feature
	// Affected reports whether the change reaches the feature. If not, nothing is counted.
	Affected bool
	// Rows is how many samples are stored, under the old version or the new one.
	Rows int64
	// Stale is how many stored samples will be computed again; of a root feature, will have to be given again. The samples
	// of an expansion are those that it starts from.
	Stale int64
	// New is how many samples will be computed that are not stored.
	New int64
	// Orphaned is how many stored samples are no longer expected.
	Orphaned int64
	// AtLeast reports that there will be more, because the children of expanded samples cannot be known before.
	AtLeast bool
	// Problem says why nothing can be said; nil if something can.
	Problem error
}

// Of makes the forecasts of all features of the graph that is to take the place of another one, parents before children.
// Both graphs must have hashes as the store's rows have them. What is wrong with a feature's own table or graph is its
// Problem; an error is about the store.
func Of(ctx context.Context, r store.Reader, from, to *feature.Graph, h engine.Hashing) ([]Forecast, error) {
	o := &outlook{stored: r, from: from, to: to, hashing: h, views: map[feature.Key]store.Snapshot{},
		affected: map[feature.Key]bool{}, open: map[feature.Key]bool{}, children: map[feature.Key]bool{}}
	needed := map[feature.Key]bool{}
	for f := range to.All() {
		for _, p := range f.Parents() {
			o.children[p.Feature.Key()] = true
			o.affected[f.Key()] = o.affected[f.Key()] || o.affected[p.Feature.Key()]
		}
		if o.differs(f) {
			o.affected[f.Key()] = true
		}
		if o.affected[f.Key()] {
			need(f, needed)
		}
	}
	var out []Forecast
	for f := range to.All() {
		fc := Forecast{Feature: f, Affected: o.affected[f.Key()]}
		if needed[f.Key()] {
			made, err := o.forecast(ctx, f)
			if err != nil {
				return nil, fmt.Errorf("forecast %s: %w", f.Key(), err)
			}
			if fc.Affected {
				fc = made
			}
		}
		out = append(out, fc)
	}
	return out, nil
}

// need marks a feature and all that it is computed from.
func need(f *feature.Feature, needed map[feature.Key]bool) {
	if needed[f.Key()] {
		return
	}
	needed[f.Key()] = true
	for _, p := range f.Parents() {
		need(p.Feature, needed)
	}
}

// An outlook is the store as it will be, as far as it is known.
type outlook struct {
	stored   store.Reader
	from, to *feature.Graph
	hashing  engine.Hashing
	views    map[feature.Key]store.Snapshot // of the tables that will be another
	affected map[feature.Key]bool
	open     map[feature.Key]bool // features of which not all samples are known
	children map[feature.Key]bool // features that others are computed from
}

// before is the feature in the old graph, nil if it was not there.
func (o *outlook) before(f *feature.Feature) *feature.Feature {
	old, err := o.from.Lookup(f.Key())
	if err != nil {
		return nil
	}
	return old
}

// differs reports whether a feature itself differs in what decides about its samples: its versions, and all that is
// declared but metadata and description.
func (o *outlook) differs(f *feature.Feature) bool {
	old := o.before(f)
	if old == nil || old.Version() != f.Version() {
		return true
	}
	return shape(old) != shape(f)
}

// shape is what decides about samples, as a text.
func shape(f *feature.Feature) string {
	s := *f.Spec()
	s.Metadata, s.Description = nil, ""
	bare := feature.Spec{Key: s.Key, IDColumns: s.IDColumns, Deps: s.Deps, Fields: s.Fields}
	text, err := bare.Canonical()
	if err != nil {
		return err.Error()
	}
	return text
}

// Snapshot implements store.Reader: the tables as they will be.
func (o *outlook) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	if v, ok := o.views[key]; ok {
		return v, nil
	}
	return o.stored.Snapshot(ctx, key)
}

// forecast looks at one feature whose parents have been looked at, and leaves the view of it to its children.
func (o *outlook) forecast(ctx context.Context, f *feature.Feature) (Forecast, error) {
	fc := Forecast{Feature: f, Affected: true}
	own := &view{key: f.Key(), newVersion: f.Version()}
	if old := o.before(f); old != nil && old.Version() != f.Version() {
		own.oldVersion = old.Version()
	}
	given := f.Root() || f.External()
	var err error
	if own.base, err = o.table(ctx, f, given); err != nil {
		return fc, err
	}
	if own.base != nil {
		if err := o.hashing.Check(own.base, f.Key()); err != nil {
			fc.Problem = err
			return fc, nil
		}
		if fc.Rows, err = count(ctx, own, f); err != nil {
			return tolerate(fc, err)
		}
	}
	if given {
		return o.given(ctx, f, own, fc)
	}
	return o.computed(ctx, f, own, fc)
}

// table is the feature's table; nil when there is none. Only what comes from outside is read through fallback stores.
func (o *outlook) table(ctx context.Context, f *feature.Feature, given bool) (store.Snapshot, error) {
	r := o.stored
	if !given {
		r = store.Local(r)
	}
	snap, err := r.Snapshot(ctx, f.Key())
	if errors.Is(err, store.ErrNoTable) {
		return nil, nil
	}
	return snap, err
}

// count is how many samples a table has.
func count(ctx context.Context, snap store.Snapshot, f *feature.Feature) (int64, error) {
	d, err := engine.DataVersion(ctx, snap, f)
	return d.Rows, err
}

// tolerate keeps an error that is the feature's own as its problem, so that the others are looked at.
func tolerate(fc Forecast, err error) (Forecast, error) {
	for _, own := range []error{
		engine.ErrPlan, engine.ErrRows, engine.ErrHashing, store.ErrNoTable, store.ErrCorrupt, store.ErrUnsupported, store.ErrSchema,
	} {
		if errors.Is(err, own) {
			fc.Problem = err
			return fc, nil
		}
	}
	return fc, err
}

// given looks at a feature whose samples come from outside. When its version changes, they have to be given again; they
// are taken for the same, and what is not known of them for something else than before.
func (o *outlook) given(ctx context.Context, f *feature.Feature, own *view, fc Forecast) (Forecast, error) {
	if own.base == nil || own.oldVersion == "" {
		return fc, nil
	}
	done, err := count(ctx, own.base, f)
	if err != nil {
		return tolerate(fc, err)
	}
	fc.Stale = fc.Rows - done
	own.fill = memberKeys(f)
	o.views[f.Key()] = own
	return fc, nil
}

// computed resolves a feature.
func (o *outlook) computed(ctx context.Context, f *feature.Feature, own *view, fc Forecast) (Forecast, error) {
	for _, p := range f.Parents() {
		fc.AtLeast = fc.AtLeast || o.open[p.Feature.Key()]
	}
	own.forget = true
	delete(o.views, f.Key())
	target := &target{outlook: o, key: f.Key(), own: own}
	inc, err := engine.Resolve(ctx, target, f, engine.Options{Hashing: o.hashing})
	if err != nil {
		return tolerate(fc, err)
	}
	next, err := o.after(ctx, f, own, inc)
	if err != nil {
		return tolerate(fc, err)
	}
	fc.New, fc.Stale, fc.Orphaned = next.fresh, next.stale, inc.Count(engine.Orphaned)
	if expands(f) && fc.New > 0 {
		o.open[f.Key()] = true
	}
	if fc.AtLeast {
		o.open[f.Key()] = true
	}
	if o.children[f.Key()] {
		o.views[f.Key()] = next
	}
	return fc, nil
}

// expands reports whether a sample of the feature is one of several that a parent's sample gives.
func expands(f *feature.Feature) bool {
	for _, p := range f.Parents() {
		if p.Dep.Lineage.Kind == feature.OneToMany {
			return true
		}
	}
	return false
}

// aggregates reports whether the increment has a row for each of the rows that a sample is made of.
func aggregates(f *feature.Feature) bool {
	for _, p := range f.Parents() {
		if p.Dep.Lineage.Kind == feature.ManyToOne {
			return true
		}
	}
	return false
}

// A target is an outlook in which one feature is the one that is resolved.
type target struct {
	*outlook
	key feature.Key
	own *view
}

// Snapshot implements store.Reader.
func (t *target) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	if key != t.key {
		return t.outlook.Snapshot(ctx, key)
	}
	if t.own.base == nil {
		return nil, fmt.Errorf("%w: %s", store.ErrNoTable, key)
	}
	return t.own, nil
}
