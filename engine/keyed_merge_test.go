package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// sortedStore writes the rows of a world to files that are declared to be sorted by the first id, a few rows in a batch, and
// are not if they lie. Some tables are not declared to be.
func (w *world) sortedStore(lie bool) *store.Memory {
	m := store.NewMemory()
	for _, key := range w.keys {
		undeclared := !w.feature(key).Root() && w.rng.IntN(2) == 0
		by := []string{w.feature(key).Spec().IDColumns[0]}
		for _, rec := range w.rows[key] {
			sorted, declared, err := store.SortRows(rec, by)
			if err != nil {
				w.t.Fatal(err)
			}
			switch {
			case lie:
				sorted, declared = rec, by
			case undeclared:
				sorted, declared = rec, nil
			}
			if sorted.NumRows() == 0 {
				continue
			}
			var rows []arrow.RecordBatch
			for from, n := int64(0), int64(0); from < sorted.NumRows(); from += n {
				n = min(1+w.rng.Int64N(3), sorted.NumRows()-from)
				rows = append(rows, sorted.NewSlice(from, from+n))
			}
			if _, err := m.Append(context.Background(), key, store.Write{Rows: batches(rows...), SortedBy: declared}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	return m
}

// A merge decides as the plain way does, and lists what it finds in the order of the partitioned way. Rows in another order than
// was declared are noticed.
func TestMergeAgreesWithPlain(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(2 * randomWorlds) {
		w := newWorld(t, seed, true)
		lie := seed%4 == 3
		s := w.sortedStore(lie)
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() || !w.hasTables(s, f) {
				continue
			}
			o := Options{Hashing: w.hashing}
			if seed%2 == 1 {
				o = w.randomOptions(f, seen)
			}
			o.SkipComparison = o.SkipComparison || seed%3 == 0
			w.compareMerge(s, f, o, lie, seen)
		}
	}
	if seen["merged"] < 200 || seen["unordered"] < 20 || seen["several windows"] < 50 || seen["by nulls"] < 20 || seen["several tables"] < 50 ||
		seen["beside a table in no order"] < 15 {
		t.Errorf("the worlds have too little of what they should test: %v", seen)
	}
	t.Log(seen)
}

// hasTables reports whether every parent has a table, so that a feature can be resolved.
func (w *world) hasTables(s store.Store, f *feature.Feature) bool {
	return !slices.ContainsFunc(f.Parents(), func(p feature.Parent) bool {
		_, err := s.Snapshot(context.Background(), p.Feature.Key())
		return err != nil
	})
}

func (w *world) compareMerge(s store.Store, f *feature.Feature, o Options, lie bool, seen map[string]int) {
	w.t.Helper()
	k := newKeyed(w.plan(f, s, o))
	if k == nil {
		return
	}
	m, err := newMerge(context.Background(), k)
	if err != nil {
		w.t.Fatal(err)
	}
	if m == nil {
		seen["not sorted"]++
		return
	}
	m.windowRows = 1
	got, err := m.resolve(context.Background())
	if lie && errors.Is(err, errUnordered) {
		seen["unordered"]++
		if got, err = w.plan(f, s, o).increment(context.Background()); err != nil {
			w.t.Fatal(err)
		}
	}
	if err != nil {
		w.t.Fatalf("%s: %v", f.Key(), err)
	}
	seen["merged"]++
	if m.beside {
		seen["beside a table in no order"]++
	}
	if len(k.tables) > 1 {
		seen["several tables"]++
	}
	if k.nullsDecide {
		seen["by nulls"]++
	}
	if len(m.runs) > 2 {
		seen["several windows"]++
	}
	want, err := w.plan(f, s, o).resolve(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	p := newKeyed(w.plan(f, s, o))
	partitioned, err := p.resolve(context.Background(), p.partitioning(p.workers))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, status := range []Status{New, Stale, Orphaned} {
		if g, w2 := incrementTexts(w.t, got, status), incrementTexts(w.t, want, status); !slices.Equal(g, w2) {
			w.t.Errorf("%s of %s:\n%q\nwant\n%q", status, f.Key(), g, w2)
		}
		if g, w2 := refsOf(got, status), refsOf(partitioned, status); !slices.Equal(g, w2) {
			w.t.Errorf("%s of %s comes in the order\n%v\nwant\n%v", status, f.Key(), g, w2)
		}
	}
	if got.Unresolvable() != want.Unresolvable() {
		w.t.Errorf("%s has %d unresolvable samples, want %d", f.Key(), got.Unresolvable(), want.Unresolvable())
	}
}

// refsOf are the rows of a part of an increment, in its order, of all sources one after the other.
func refsOf(inc *Increment, s Status) (refs []store.RowRef) {
	rows := inc.parts[s].rows
	for _, source := range rows.slice(0, rows.count()).refs {
		refs = append(refs, source...)
	}
	return refs
}

// Rows of one first id that are too many for a window go through partitions.
func TestMergeOfOneFirstID(t *testing.T) {
	t.Parallel()
	by := feature.Spec{Key: "a", IDColumns: []string{"id", "n"}, Fields: []feature.Field{{Key: "x"}}}
	child := feature.Spec{Key: "b", IDColumns: by.IDColumns, Fields: by.Fields, Deps: []feature.Dep{{Feature: "a"}}}
	s := newScene(t, by, child)
	const rows = 200
	for n := range rows {
		rec, err := Seal(s.feature("a"), s.rows("id:string n:int64 metaxy_provenance_by_field:struct<x:string>",
			fmt.Sprintf(`{"id":"same","n":%d,"metaxy_provenance_by_field":{"x":"1"}}`, n)), Stamp{Now: time.UnixMicro(1)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.store.Append(t.Context(), "a", store.Write{Rows: batches(rec), SortedBy: by.IDColumns}); err != nil {
			t.Fatal(err)
		}
	}
	for most, want := range map[int]error{rows: nil, rows / 2: errUnordered} {
		p, err := prepare(t.Context(), s.store, s.feature("b"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMerge(t.Context(), newKeyed(p))
		if m == nil || err != nil {
			t.Fatalf("there is no merge: %v", err)
		}
		m.maxHeldRows = most
		if _, err := m.resolve(t.Context()); !errors.Is(err, want) {
			t.Errorf("with %d rows held: %v, want %v", most, err, want)
		}
	}
	if inc := s.resolve("b"); inc.Count(New) != rows {
		t.Errorf("%d samples are new, want %d", inc.Count(New), rows)
	}
}

// Rows are numbered in the order of their files, and one that a file should not have is found out.
func TestNumbersOfRows(t *testing.T) {
	t.Parallel()
	table := &keyedTable{scan: &tableScan{key: "a"}}
	if !table.numberFiles([]store.SortedRun{{{Ordinal: 1, Rows: 5}}, {{Ordinal: 0, Rows: 3}}}) {
		t.Fatal("the rows have no numbers")
	}
	for _, c := range []struct {
		ref  store.RowRef
		want uint64
		ok   bool
	}{
		{store.MakeRowRef(0, 2), 2, true}, {store.MakeRowRef(0, 3), 3, false}, {store.MakeRowRef(1, 0), 3, true},
		{store.MakeRowRef(1, 4), 7, true}, {store.MakeRowRef(1, 5), 8, false},
	} {
		if got, ok := table.ordinalOf(c.ref); ok != c.ok || ok && got != c.want {
			t.Errorf("row %d of file %d has number %d, %v; want %d, %v", c.ref.Row(), c.ref.File(), got, ok, c.want, c.ok)
		}
	}
}
