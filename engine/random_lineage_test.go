package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// lineage gives the dependency of a feature with one parent another lineage or a filter, if it can.
func (w *world) lineage(s *feature.Spec, i int, parents []feature.Definition) bool {
	if len(s.Deps) != 1 {
		return false
	}
	d := &s.Deps[0]
	d.Optional = false
	switch w.rng.IntN(3) {
	case 0:
		d.Lineage = feature.Lineage{Kind: feature.ManyToOne, On: s.IDColumns[:1]}
		s.IDColumns = s.IDColumns[:1]
		if w.rng.IntN(3) == 0 {
			d.Lineage.On = nil
		}
	case 1:
		d.Lineage = feature.Lineage{Kind: feature.OneToMany, On: s.IDColumns}
		if w.wild { // several parents share children, of which some are always stale
			d.Lineage.On = s.IDColumns[:1+w.rng.IntN(len(s.IDColumns))]
		}
		child := fmt.Sprintf("child%d", i)
		w.idTypes[child] = "int64"
		s.IDColumns = append(slices.Clone(d.Lineage.On), child)
	}
	if w.rng.IntN(2) == 0 {
		own := "c_" + parents[0].Spec.Key.Table()
		if n, ok := d.Rename[own]; ok {
			own = n
		}
		d.Filters = []string{fmt.Sprintf(pick(w.rng, []string{atLeast, notAtLeast}), own, w.rng.IntN(60))}
	}
	return true
}

// aggregateAll makes a feature that joins parents of which every one is aggregated by its "id", or is not and has no
// other id.
func (w *world) aggregateAll(s *feature.Spec, before []feature.Definition) bool {
	for _, p := range before {
		if len(s.Deps) == 3 || !slices.Contains(p.Spec.IDColumns, "id") {
			continue
		}
		d := w.dep(p.Spec, true)
		if len(p.Spec.IDColumns) > 1 || w.rng.IntN(3) == 0 {
			d.Lineage = feature.Lineage{Kind: feature.ManyToOne, On: []string{"id"}}
		}
		s.Deps = append(s.Deps, d)
	}
	s.IDColumns = []string{"id"}
	return len(s.Deps) > 0
}

// randomOptions filters, and asks for samples to be stale.
func (w *world) randomOptions(f *feature.Feature, seen map[string]int) Options {
	o := Options{Hashing: w.hashing, Filters: map[feature.Key][]string{}}
	condition := func(key feature.Key) []string {
		if w.rng.IntN(2) == 0 {
			return nil
		}
		own := "c_" + key.Table()
		if form := pick(w.rng, []string{atLeast, notAtLeast, isNull}); form != isNull {
			return []string{fmt.Sprintf(form, own, w.rng.IntN(60))}
		}
		return []string{fmt.Sprintf(isNull, own)}
	}
	for _, p := range f.Parents() {
		o.Filters[p.Feature.Key()] = condition(p.Feature.Key())
		seen["filters"] += len(o.Filters[p.Feature.Key()])
	}
	o.Filters[f.Key()] = condition(f.Key())
	o.TargetFilters = condition(f.Key())
	seen["target filters"] += len(o.TargetFilters)
	o.StaleIf = append(condition(f.Key()), condition(f.Key())...)
	seen["predicates"] += len(o.StaleIf)
	return o
}

func expands(f *feature.Feature) bool {
	return slices.ContainsFunc(f.Parents(), func(p feature.Parent) bool { return p.Dep.Lineage.Kind == feature.OneToMany })
}

// children does what a processor does that expands its samples: one to three children for each row.
func (w *world) children(f *feature.Feature, rec arrow.RecordBatch) arrow.RecordBatch {
	ids := f.Spec().IDColumns
	child := ids[len(ids)-1]
	if !expands(f) || rec.Schema().HasField(child) {
		return rec
	}
	var rows []int
	numbers := array.NewInt64Builder(memory.DefaultAllocator)
	for i := range int(rec.NumRows()) {
		for n := range 1 + w.rng.IntN(3) {
			rows = append(rows, i)
			numbers.Append(int64(n))
		}
	}
	out, err := store.Take(rec, rows)
	if err != nil {
		w.t.Fatal(err)
	}
	fields := append(out.Schema().Fields(), arrow.Field{Name: child, Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), append(slices.Clone(out.Columns()), numbers.NewArray()), out.NumRows())
}

// buryAll deletes every sample of a feature.
func (w *world) buryAll(f *feature.Feature, s store.Store, by Stamp) {
	ctx := context.Background()
	snap, err := s.Snapshot(ctx, f.Key())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, rec := range collect(w.t, Read(ctx, snap, f, ReadOptions{})) {
		dead, err := Tombstones(f, rec, by)
		if err != nil {
			w.t.Fatal(err)
		}
		appendRows(w.t, s, f.Key(), dead)
	}
}
