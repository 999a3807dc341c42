package forecast_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/forecast"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A world is a store with a clock that never stands still, and a runner that gives back one row for each sample.
type world struct {
	t     *testing.T
	store *store.Memory
	now   time.Time
}

func newWorld(t *testing.T) *world {
	return &world{t: t, store: store.NewMemory(), now: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (w *world) append(f *feature.Feature, rec arrow.RecordBatch) {
	w.t.Helper()
	w.now = w.now.Add(time.Second)
	sealed, err := engine.Seal(f, rec, engine.Stamp{Now: w.now})
	if err == nil {
		rows := func(yield func(arrow.RecordBatch, error) bool) { yield(sealed, nil) }
		_, err = w.store.Append(w.t.Context(), f.Key(), store.Write{Rows: rows})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// ingest writes samples of a root with the given version of each of its fields.
func (w *world) ingest(f *feature.Feature, samples map[string]string) {
	w.t.Helper()
	if len(samples) == 0 {
		return
	}
	ids, groups := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
	numbers := array.NewInt64Builder(memory.DefaultAllocator)
	fields := f.Spec().Fields
	members := make([]*array.StringBuilder, len(fields))
	var names []string
	for i := range fields {
		members[i] = array.NewStringBuilder(memory.DefaultAllocator)
		names = append(names, fields[i].Key.StructKey())
	}
	for _, id := range slices.Sorted(maps.Keys(samples)) {
		version := samples[id]
		ids.Append(id)
		groups.Append(id[:1])
		numbers.Append(int64(id[len(id)-1]) % 4)
		for i, m := range members {
			m.Append(fmt.Sprint(version, i))
			if i == 0 { // the first field is the same in all versions that begin with the same letter
				m.Resize(m.Len() - 1)
				m.Append(version[:1])
			}
		}
	}
	cols := make([]arrow.Array, len(members))
	for i, m := range members {
		cols[i] = m.NewArray()
	}
	byField, err := array.NewStructArray(cols, names)
	if err != nil {
		w.t.Fatal(err)
	}
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "g", Type: arrow.BinaryTypes.String},
		{Name: "n", Type: arrow.PrimitiveTypes.Int64}, {Name: feature.ColProvenanceByField, Type: byField.DataType()},
	}, nil)
	w.append(f, array.NewRecordBatch(schema, []arrow.Array{ids.NewArray(), groups.NewArray(), numbers.NewArray(), byField},
		int64(len(samples))))
}

// live are the ids of the samples that a feature has.
func (w *world) live(f *feature.Feature) map[string]bool {
	w.t.Helper()
	out := map[string]bool{}
	snap, err := w.store.Snapshot(w.t.Context(), f.Key())
	if err != nil {
		return out
	}
	for rec, err := range engine.Read(w.t.Context(), snap, f, engine.ReadOptions{Columns: f.Spec().IDColumns}) {
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			out[rec.Column(0).ValueStr(i)] = true
		}
	}
	return out
}

// run computes what a feature needs, and returns the ids of the samples that it has computed.
func (w *world) run(f *feature.Feature) map[string]bool {
	w.t.Helper()
	done := map[string]bool{}
	inc, err := engine.Resolve(w.t.Context(), w.store, f, engine.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range []engine.Status{engine.New, engine.Stale} {
		for rec, err := range inc.Batches(w.t.Context(), s, nil, 0) {
			if err != nil {
				w.t.Fatal(err)
			}
			var rows []int
			for i := range int(rec.NumRows()) {
				id := columnOf(rec, f.Spec().IDColumns[0]).ValueStr(i)
				if !done[id] {
					rows = append(rows, i)
				}
				done[id] = true
			}
			rec, err := store.Take(rec, rows)
			if err != nil {
				w.t.Fatal(err)
			}
			w.append(f, rec)
		}
	}
	return done
}

func columnOf(rec arrow.RecordBatch, name string) arrow.Array {
	return rec.Column(rec.Schema().FieldIndices(name)[0])
}

// compare forecasts a change, then lets it happen, and compares what was said with what came.
func (w *world) compare(from, to *feature.Graph, root map[string]string) (stale int64) {
	t := w.t
	t.Helper()
	before := map[feature.Key]map[string]bool{}
	for f := range from.All() {
		before[f.Key()] = w.live(f)
	}
	said, err := forecast.Of(t.Context(), w.store, from, to, engine.Hashing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fc := range said {
		f := fc.Feature
		if fc.Problem != nil {
			t.Fatalf("%s: %v", f.Key(), fc.Problem)
		}
		had := before[f.Key()]
		var again, fresh, orphaned int64
		var done map[string]bool
		if f.Root() {
			done = map[string]bool{}
			if now := w.live(f); len(now) < len(root) {
				w.ingest(f, root)
				for id := range root {
					done[id] = true
				}
			}
		} else {
			done = w.run(f)
			now := w.live(f)
			for id := range had {
				if !now[id] {
					orphaned++
				}
			}
		}
		for id := range done {
			if had[id] {
				again++
			} else {
				fresh++
			}
		}
		if !fc.Affected {
			continue
		}
		versioned := !f.Root() && f.Version() != versionIn(from, f.Key())
		if fc.Stale != again || fc.New != fresh || versioned && fc.Orphaned != orphaned || fc.Rows != int64(len(had)) {
			t.Errorf("%s: said %d stale, %d new, %d orphaned of %d; came %d, %d, %d of %d", f.Key(), fc.Stale, fc.New, fc.Orphaned,
				fc.Rows, again, fresh, orphaned, len(had))
		}
		stale += again
	}
	return stale
}

func versionIn(g *feature.Graph, key feature.Key) string {
	f, err := g.Lookup(key)
	if err != nil {
		return ""
	}
	return f.Version()
}

func graphOf(t *testing.T, specs ...feature.Spec) *feature.Graph {
	t.Helper()
	var defs []feature.Definition
	for _, s := range specs {
		defs = append(defs, feature.Definition{Spec: s})
	}
	g, err := feature.NewGraph(defs, feature.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// chain is a root with two fields, a child that has both, and one child of each of its fields; bump is the code version
// of the child's second field.
func chain(bump string, filters ...string) []feature.Spec {
	one := func(key feature.Key, field feature.Key) feature.Spec {
		return feature.Spec{Key: key, IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "crop"}},
			Fields: []feature.Field{{Key: field}}}
	}
	fields := []feature.Field{{Key: "audio"}, {Key: "frames"}}
	return []feature.Spec{
		{Key: "video", IDColumns: []string{"id"}, Fields: fields},
		{Key: "crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video", Filters: filters}},
			Fields: []feature.Field{{Key: "audio"}, {Key: "frames", CodeVersion: bump}}},
		one("faces", "frames"), one("words", "audio"),
	}
}

// TestFieldChange changes the code of one field: what is computed from it is stale, transitively, and nothing else is.
func TestFieldChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from, to := graphOf(t, chain("1")...), graphOf(t, chain("2")...)
	samples := map[string]string{"a": "x", "b": "x", "c": "x"}
	for f := range from.All() {
		if f.Root() {
			w.ingest(f, samples)
			continue
		}
		w.run(f)
	}
	if stale := w.compare(from, to, samples); stale != 6 {
		t.Errorf("%d samples were stale, want 3 of crop and 3 of faces", stale)
	}
	if stale := w.compare(from, to, samples); stale != 0 {
		t.Errorf("when all is done, %d are stale", stale)
	}
}

// TestFilterChange changes a filter, which changes no version: features below get more samples, or none.
func TestFilterChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	some, all := graphOf(t, chain("1", "n > 1")...), graphOf(t, chain("1")...)
	samples := map[string]string{"1": "x", "2": "x", "3": "x"}
	for f := range some.All() {
		if f.Root() {
			w.ingest(f, samples)
			continue
		}
		w.run(f)
	}
	said, err := forecast.Of(t.Context(), w.store, some, all, engine.Hashing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fc := range said {
		if !fc.Feature.Root() && (fc.New != 1 || fc.Stale != 0 || fc.Rows != 2) {
			t.Errorf("%s: %+v, want one new sample", fc.Feature.Key(), fc)
		}
	}
	w.compare(some, all, samples)
}

// TestNothingStored says nothing of features without tables, and names what is missing.
func TestNothingStored(t *testing.T) {
	t.Parallel()
	said, err := forecast.Of(context.Background(), store.NewMemory(), graphOf(t, chain("1")...), graphOf(t, chain("2")...),
		engine.Hashing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fc := range said {
		if fc.Affected != (fc.Feature.Key() != "video") || fc.Affected && fc.Problem == nil {
			t.Errorf("%s: %+v", fc.Feature.Key(), fc)
		}
	}
}

// TestRandomChanges forecasts changes between random graphs on random histories, lets each happen, and compares: code
// versions, filters, mappings, aggregation, new features, samples that were waiting, and changes that are half done.
func TestRandomChanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(150) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			plan := newDraft(rng)
			from := graphOf(t, plan.specs()...)
			samples := map[string]string{}
			for i := range 4 + rng.IntN(8) {
				samples[fmt.Sprintf("%c%d", 'a'+rune(rng.IntN(3)), i)] = pick(rng, "x", "xx", "y")
			}
			for f := range from.All() {
				if f.Root() {
					w.ingest(f, samples)
				} else if rng.IntN(8) > 0 {
					w.run(f)
				} else {
					return // what is below has no table to resolve
				}
			}
			for _, id := range slices.Sorted(maps.Keys(samples)) { // changes that wait
				if rng.IntN(4) == 0 {
					samples[id] = pick(rng, "z", "yy", "xxx")
				}
			}
			root, err := from.Lookup("root")
			if err != nil {
				t.Fatal(err)
			}
			w.ingest(root, samples)
			old := fmt.Sprintf("%+v", *plan)
			plan.change(rng)
			t.Logf("from %s\nto   %+v", old, *plan)
			w.compare(from, graphOf(t, plan.specs()...), samples)
		})
	}
}

func pick(rng *rand.Rand, texts ...string) string { return texts[rng.IntN(len(texts))] }

// A draft is a graph that can be changed: a root and features that each have one parent or two of those before.
type draft struct {
	codes   [][]int // code versions of the fields
	parents [][]int
	filters []string
	group   int // the feature that aggregates its parent by g, 0 for none; it is the last one
}

func newDraft(rng *rand.Rand) *draft {
	d := &draft{}
	for range 3 + rng.IntN(3) {
		d.grow(rng)
	}
	if rng.IntN(3) == 0 {
		d.group = len(d.codes) - 1
		d.parents[d.group] = d.parents[d.group][:1]
	}
	return d
}

func (d *draft) grow(rng *rand.Rand) {
	i := len(d.codes)
	d.codes = append(d.codes, make([]int, 1+rng.IntN(3)))
	d.filters = append(d.filters, "")
	var parents []int
	if i > 0 {
		parents = append(parents, rng.IntN(i))
		if second := rng.IntN(i); second != parents[0] && rng.IntN(2) == 0 {
			parents = append(parents, second)
		}
	}
	d.parents = append(d.parents, parents)
}

func (d *draft) change(rng *rand.Rand) {
	for range 1 + rng.IntN(2) {
		i := rng.IntN(len(d.codes))
		switch rng.IntN(5) {
		case 0, 1:
			d.codes[i][rng.IntN(len(d.codes[i]))]++
		case 2:
			d.filters[i] = pick(rng, "", "n > 1", "n < 3")
		case 3:
			if d.group == 0 {
				d.grow(rng)
			}
		case 4:
			d.codes[i] = append(d.codes[i], 0)
		}
	}
}

func (d *draft) specs() []feature.Spec {
	names := []feature.Key{"audio", "frames", "text", "more", "most"}
	var out []feature.Spec
	for i, codes := range d.codes {
		s := feature.Spec{Key: feature.Key(fmt.Sprintf("f%d", i)), IDColumns: []string{"id"}}
		if i == 0 {
			s.Key = "root"
		}
		for n, code := range codes {
			s.Fields = append(s.Fields, feature.Field{Key: names[n], CodeVersion: fmt.Sprint(code)})
		}
		for n, p := range d.parents[i] {
			dep := feature.Dep{Feature: out[p].Key}
			if n > 0 {
				dep.Select = []string{"id"}
			} else if d.filters[i] != "" {
				dep.Filters = []string{d.filters[i]}
			}
			if i == d.group && i > 0 {
				s.IDColumns = []string{"g"}
				dep.Lineage = feature.Lineage{Kind: feature.ManyToOne, On: []string{"g"}}
			}
			s.Deps = append(s.Deps, dep)
		}
		out = append(out, s)
	}
	return out
}

// TestExpansion counts the samples that an expansion starts from, and its children further down; what a new sample will
// expand to is not known.
func TestExpansion(t *testing.T) {
	t.Parallel()
	specs := func(code string) []feature.Spec {
		return []feature.Spec{
			{Key: "video", IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "audio"}, {Key: "frames"}}},
			{Key: "cut", IDColumns: []string{"id", "n"}, Fields: []feature.Field{{Key: "frames", CodeVersion: code}},
				Deps: []feature.Dep{{Feature: "video", Select: []string{"id"}, Lineage: feature.Lineage{Kind: feature.OneToMany, On: []string{"id"}}}}},
			{Key: "face", IDColumns: []string{"id", "n"}, Deps: []feature.Dep{{Feature: "cut"}}, Fields: []feature.Field{{Key: "frames"}}},
		}
	}
	from, to := graphOf(t, specs("1")...), graphOf(t, specs("2")...)
	w := newWorld(t)
	lookup := func(key feature.Key) *feature.Feature {
		f, err := from.Lookup(key)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	w.ingest(lookup("video"), map[string]string{"a": "x", "b": "x"})
	inc, err := engine.Resolve(t.Context(), w.store, lookup("cut"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range inc.Batches(t.Context(), engine.New, []string{"id", feature.ColProvenanceByField}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		rec, err = store.Take(rec, []int{0, 0, 0, 1, 1}) // three cuts of one video, two of the other
		if err != nil {
			t.Fatal(err)
		}
		numbers := array.NewInt64Builder(memory.DefaultAllocator)
		numbers.AppendValues([]int64{1, 2, 3, 1, 2}, nil)
		fields := append(rec.Schema().Fields(), arrow.Field{Name: "n", Type: arrow.PrimitiveTypes.Int64})
		w.append(lookup("cut"), array.NewRecordBatch(arrow.NewSchema(fields, nil), append(rec.Columns(), numbers.NewArray()), 5))
	}
	inc, err = engine.Resolve(t.Context(), w.store, lookup("face"), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range inc.Batches(t.Context(), engine.New, nil, 0) {
		if err != nil {
			t.Fatal(err)
		}
		w.append(lookup("face"), rec)
	}
	w.ingest(lookup("video"), map[string]string{"c": "x"}) // not cut yet
	said, err := forecast.Of(t.Context(), w.store, from, to, engine.Hashing{})
	if err != nil {
		t.Fatal(err)
	}
	type counts struct {
		rows, stale, fresh int64
		atLeast            bool
	}
	want := map[feature.Key]counts{"video": {}, "cut": {5, 2, 1, false}, "face": {5, 5, 0, true}}
	for _, fc := range said {
		got := counts{fc.Rows, fc.Stale, fc.New, fc.AtLeast}
		if fc.Problem != nil || got != want[fc.Feature.Key()] {
			t.Errorf("%s: %+v, %v; want %+v", fc.Feature.Key(), got, fc.Problem, want[fc.Feature.Key()])
		}
	}
}
