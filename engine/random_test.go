package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A world is a random graph with tables full of everything that can be in them.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	graph   *feature.Graph
	keys    []feature.Key
	idTypes map[string]string // of every id column
	hashing Hashing
	clock   int64
	wild    bool // null ids and equal times too
	rows    map[feature.Key][]arrow.RecordBatch
}

func newWorld(t *testing.T, seed uint64, wild bool) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), idTypes: map[string]string{}, clock: 1000, wild: wild,
		rows: map[feature.Key][]arrow.RecordBatch{},
	}
	w.hashing = Hashing{Algorithm: pick(w.rng, Hashes()), TruncationLength: pick(w.rng, []int{0, 8, 16})}
	var specs []feature.Definition
	w.idTypes["id"] = pick(w.rng, []string{"string", "string", "int64", "int32", "int16", "bool", "date", "binary", "float32", "float64",
		"decimal", "timestamp"})
	w.idTypes["n"] = pick(w.rng, []string{"string", "int64"})
	for i := range 1 + w.rng.IntN(6) {
		spec := w.spec(i, specs)
		specs = append(specs, feature.Definition{Spec: spec, Project: "p"})
		w.keys = append(w.keys, spec.Key)
	}
	var err error
	options := feature.Options{Project: "p", TruncationLength: w.hashing.TruncationLength}
	if w.graph, err = feature.NewGraph(specs, options); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	for _, key := range w.keys {
		w.fill(w.feature(key))
	}
	for range 3 {
		w.junk(w.feature(pick(w.rng, w.keys)), 1+w.rng.IntN(6))
	}
	return w
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func (w *world) feature(key feature.Key) *feature.Feature {
	f, err := w.graph.Lookup(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// spec makes a feature over some of those before it: ids are those of its parents together, fields come from the
// parents' as explicit dependencies, by mapping or by name.
func (w *world) spec(i int, before []feature.Definition) feature.Spec {
	s := feature.Spec{Key: feature.Key(pick(w.rng, []string{"f/%d", "f%d", "f-%d/x"}))}
	s.Key = feature.Key(fmt.Sprintf(string(s.Key), i))
	for _, name := range []feature.Key{"x", "y", "z/y"}[:1+w.rng.IntN(3)] {
		s.Fields = append(s.Fields, feature.Field{Key: name, CodeVersion: pick(w.rng, []string{"", "1", "2|é"})})
	}
	s.IDColumns = [][]string{{"id"}, {"id", "n"}, {"n", "id"}}[w.rng.IntN(3)]
	if len(before) == 0 || w.rng.IntN(4) == 0 {
		return s
	}
	parents := slices.Clone(before)
	w.rng.Shuffle(len(parents), func(a, b int) { parents[a], parents[b] = parents[b], parents[a] })
	parents = joinable(parents[:min(len(parents), 1+w.rng.IntN(3))])
	s.IDColumns = nil
	if w.rng.IntN(6) == 0 && w.aggregateAll(&s, before) {
		return s
	}
	for _, p := range parents {
		s.Deps = append(s.Deps, w.dep(p.Spec, len(parents) > 1))
		s.IDColumns = distinct(append(s.IDColumns, p.Spec.IDColumns...))
	}
	if len(parents) == 1 && w.rng.IntN(3) == 0 {
		w.renameID(&s, i)
	}
	for k := range s.Fields {
		if len(s.Deps) > 0 && w.rng.IntN(3) == 0 {
			s.Fields[k].Deps = feature.FieldDeps{On: []feature.FieldDep{{Feature: pick(w.rng, s.Deps).Feature}}}
		}
	}
	if w.rng.IntN(2) == 0 && w.lineage(&s, i, parents) {
		return s
	}
	// Ids that only an optional parent has would be null where it has no row.
	if required := w.requiredIDs(s, parents); len(required) < len(s.IDColumns) {
		for k := range s.Deps {
			s.Deps[k].Optional = false
		}
	}
	return s
}

// joinable returns the first of the parents only, if they have no "id" in common, or an id that only some of them
// share would be a collision.
func joinable(parents []feature.Definition) []feature.Definition {
	count := map[string]int{}
	for _, p := range parents {
		for _, id := range p.Spec.IDColumns {
			count[id]++
		}
	}
	for _, n := range count {
		if count["id"] < len(parents) || n != 1 && n != len(parents) {
			return parents[:1]
		}
	}
	return parents
}

func (w *world) requiredIDs(s feature.Spec, parents []feature.Definition) []string {
	var all []string
	for i, d := range s.Deps {
		for _, p := range parents {
			if p.Spec.Key != d.Feature {
				continue
			}
			if i == 0 {
				all = slices.Clone(p.Spec.IDColumns)
			}
			all = slices.DeleteFunc(all, func(c string) bool { return !slices.Contains(p.Spec.IDColumns, c) })
		}
	}
	return all
}

func (w *world) dep(parent feature.Spec, several bool) feature.Dep {
	mappings := []feature.Mapping{{}, {MatchSuffix: true}, {Kind: feature.MapAll}}
	d := feature.Dep{Feature: parent.Key, Mapping: pick(w.rng, mappings)}
	own := "c_" + parent.Key.Table()
	d.Select = [][]string{{own}, {}}[w.rng.IntN(2)]
	if w.rng.IntN(3) == 0 {
		d.Rename = map[string]string{own: "r_" + own}
		if len(d.Select) > 0 {
			d.Select = []string{"r_" + own}
		}
	}
	if !several && w.rng.IntN(2) == 0 {
		d.Select = nil
	}
	d.Optional = w.rng.IntN(4) == 0
	return d
}

// renameID gives an id column a new name in the only parent's child.
func (w *world) renameID(s *feature.Spec, i int) {
	k := w.rng.IntN(len(s.IDColumns))
	was, is := s.IDColumns[k], fmt.Sprintf("sid%d", i)
	w.idTypes[is] = w.idTypes[was]
	s.IDColumns = slices.Clone(s.IDColumns)
	s.IDColumns[k] = is
	if s.Deps[0].Rename == nil {
		s.Deps[0].Rename = map[string]string{}
	}
	s.Deps[0].Rename[was] = is
}

// fill writes a feature's rows: some at random, and some as a run would.
func (w *world) fill(f *feature.Feature) {
	w.junk(f, 1+w.rng.IntN(8))
	if f.Root() || w.rng.IntN(5) == 0 {
		return
	}
	inc := w.resolve(f, w.store(false))
	for _, s := range []Status{New, Stale} {
		for _, rec := range collect(w.t, inc.Batches(context.Background(), s, nil, 1+w.rng.IntN(4))) {
			if w.rng.IntN(4) > 0 {
				w.rows[f.Key()] = append(w.rows[f.Key()], w.seal(f, w.children(f, rec)))
			}
		}
	}
}

func (w *world) seal(f *feature.Feature, rec arrow.RecordBatch) arrow.RecordBatch {
	w.clock += 10
	out, err := Seal(f, rec, Stamp{Now: time.UnixMicro(w.clock), Hashing: w.hashing})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// junk writes random rows: history, ties, deletions, nulls, overrides, other feature versions.
func (w *world) junk(f *feature.Feature, n int) {
	var members []string
	for _, field := range f.Spec().Fields {
		members = append(members, field.Key.StructKey()+":string")
	}
	byField := "struct<" + strings.Join(members, ",") + ">"
	frame := testFrame{}
	for _, id := range f.Spec().IDColumns {
		frame.Columns = append(frame.Columns, [2]string{id, w.idTypes[id]})
	}
	own := "c_" + f.Key().Table()
	frame.Columns = append(frame.Columns, [2]string{own, "int64"}, [2]string{feature.ColProvenanceByField, byField},
		[2]string{feature.ColProvenance, "string"}, [2]string{feature.ColDataVersionByField, byField},
		[2]string{feature.ColFeatureVersion, "string"}, [2]string{feature.ColUpdatedAt, "timestamp"},
		[2]string{feature.ColDeletedAt, "timestamp"})
	for range n {
		frame.Rows = append(frame.Rows, w.junkRow(f, own))
	}
	w.rows[f.Key()] = append(w.rows[f.Key()], frame.record(w.t))
}

func (w *world) junkRow(f *feature.Feature, own string) json.RawMessage {
	row := map[string]any{own: w.rng.IntN(100), feature.ColFeatureVersion: f.Version()}
	for _, id := range f.Spec().IDColumns {
		row[id] = w.id(w.idTypes[id])
	}
	versions := map[string]any{}
	for _, field := range f.Spec().Fields {
		versions[field.Key.StructKey()] = pick(w.rng, []string{"1", "2", "a|b", "é"})
		if w.rng.IntN(25) == 0 {
			versions[field.Key.StructKey()] = nil
		}
	}
	row[feature.ColProvenanceByField], row[feature.ColDataVersionByField] = versions, versions
	if w.rng.IntN(30) == 0 {
		row[feature.ColDataVersionByField] = nil
	}
	row[feature.ColProvenance] = pick(w.rng, []any{"p1", "p2", nil})
	if w.rng.IntN(6) == 0 {
		row[feature.ColFeatureVersion] = pick(w.rng, []any{"old", nil})
	}
	w.clock += 10
	at := w.clock
	if w.wild {
		at = 1000 + 10*w.rng.Int64N(5)
	}
	if row[feature.ColUpdatedAt] = testTimestamp(at); w.wild && w.rng.IntN(10) == 0 {
		row[feature.ColUpdatedAt] = nil
	}
	if w.rng.IntN(5) == 0 {
		row[feature.ColDeletedAt] = testTimestamp(at)
	}
	text, err := json.Marshal(row)
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func testTimestamp(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.000000Z")
}

func (w *world) id(typ string) any {
	if w.wild && w.rng.IntN(15) == 0 {
		return nil
	}
	switch typ {
	case "string":
		return pick(w.rng, []string{"", "a", "ab", "é", "\x00", "x\ny", "1"})
	case "binary":
		return pick(w.rng, []string{"", "AA==", "/w==", "YWI=", "gAA=", "fw=="})
	case "float32", "float64":
		return pick(w.rng, []any{0.0, -1.5, 2.25, -3.75, 1e10, 0.5})
	case "decimal":
		return pick(w.rng, []any{"0.00", "-1.50", "2.25", "-300.75", "1234567.00"})
	case "timestamp":
		return testTimestamp(1_000_001*w.rng.Int64N(5) - 2_000_000)
	case "bool":
		return w.rng.IntN(2) == 0
	case "date":
		return fmt.Sprintf("2024-01-%02d", 1+w.rng.IntN(5))
	}
	return w.rng.IntN(6) - 2
}

// store writes all rows, shuffled and cut into other files if asked to.
func (w *world) store(shuffled bool) *store.Memory {
	m := store.NewMemory()
	w.put(m, shuffled)
	return m
}

func (w *world) put(s store.Store, shuffled bool) {
	w.t.Helper()
	for _, key := range w.keys {
		recs := slices.Clone(w.rows[key])
		if shuffled {
			recs = w.shuffle(recs)
		}
		for _, rec := range recs {
			appendRows(w.t, s, key, rec)
		}
	}
}

func (w *world) shuffle(recs []arrow.RecordBatch) []arrow.RecordBatch {
	var out []arrow.RecordBatch
	for _, rec := range recs {
		for i := range rec.NumRows() {
			out = append(out, rec.NewSlice(i, i+1))
		}
	}
	w.rng.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

func (w *world) resolve(f *feature.Feature, s store.Store) *Increment {
	return w.resolveWith(f, s, Options{Hashing: w.hashing})
}

func (w *world) resolveWith(f *feature.Feature, s store.Store, o Options) *Increment {
	inc, err := Resolve(context.Background(), s, f, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return inc
}

// goRows are the rows of batches as maps.
func goRows(recs ...arrow.RecordBatch) []refRow {
	var out []refRow
	for _, rec := range recs {
		for i := range int(rec.NumRows()) {
			row := refRow{}
			for c, f := range rec.Schema().Fields() {
				row[f.Name] = goValue(rec.Column(c), i)
			}
			out = append(out, row)
		}
	}
	return out
}

func goValue(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i)
	case *array.Int64:
		return a.Value(i)
	case *array.Int32:
		return int64(a.Value(i))
	case *array.Boolean:
		return a.Value(i)
	case *array.Int16:
		return int64(a.Value(i))
	case *array.Binary:
		return string(a.Value(i))
	case *array.Float64:
		return a.Value(i)
	case *array.Float32:
		return float64(a.Value(i))
	case *array.Decimal128:
		return a.Value(i).ToFloat64(2)
	case *array.Date32:
		return int64(a.Value(i))
	case *array.Timestamp:
		return int64(a.Value(i))
	case *array.Struct:
		row := refRow{}
		for m, f := range a.DataType().(*arrow.StructType).Fields() {
			row[f.Name] = goValue(a.Field(m), i)
		}
		return row
	}
	panic(fmt.Sprintf("a test column of type %s", a.DataType()))
}
