package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const randomWorlds = 400

// tables reads all rows of a store in physical order.
func (w *world) tables(s store.Store) map[feature.Key][]refRow {
	out := map[feature.Key][]refRow{}
	for _, key := range w.keys {
		snap, err := s.Snapshot(context.Background(), key)
		if err != nil {
			w.t.Fatal(err)
		}
		for b, err := range snap.Scan(context.Background(), store.Query{}) {
			if err != nil {
				w.t.Fatal(err)
			}
			out[key] = append(out[key], goRows(b.RecordBatch)...)
		}
	}
	return out
}

// texts writes rows as JSON without nulls, which stand for columns that are not there, in order.
func texts(t *testing.T, rows []refRow) []string {
	t.Helper()
	out := make([]string, len(rows))
	for i, row := range rows {
		for c, v := range row {
			if v == nil {
				delete(row, c)
			}
		}
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(text)
	}
	slices.Sort(out)
	return out
}

func incrementTexts(t *testing.T, inc *Increment, s Status) []string {
	return texts(t, goRows(collect(t, inc.Batches(context.Background(), s, nil, 3))...))
}

func TestResolveAgreesWithReference(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(randomWorlds) {
		w := newWorld(t, seed, true)
		s := w.store(false)
		tables := w.tables(s)
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() {
				continue
			}
			o := Options{Hashing: w.hashing}
			if seed%2 == 1 {
				o = w.randomOptions(f, seen)
			}
			for _, p := range f.Parents() {
				seen[p.Dep.Lineage.Kind.String()]++
				seen["dep filters"] += len(p.Dep.Filters)
			}
			inc, want := w.resolveWith(f, s, o), refResolve(f, tables, o)
			for status, rows := range map[Status][]refRow{New: want.fresh, Stale: want.stale, Orphaned: want.orphaned} {
				seen[status.String()] += len(rows)
				if g, w := incrementTexts(t, inc, status), texts(t, rows); !slices.Equal(g, w) {
					t.Errorf("seed %d: %s of %s:\n%q\nwant\n%q", seed, status, key, g, w)
				}
			}
			if seen["unresolvable"] += int(want.unresolvable); inc.Unresolvable() != want.unresolvable {
				t.Errorf("seed %d: %s has %d unresolvable samples, want %d",
					seed, key, inc.Unresolvable(), want.unresolvable)
			}
			seen[fmt.Sprintf("%d parents", len(f.Parents()))]++
		}
	}
	for _, what := range []string{"new", "stale", "orphaned", "unresolvable", "1 parents", "2 parents", "3 parents",
		"1:1", "1:N", "N:1", "dep filters", "filters", "target filters", "predicates"} {
		if seen[what] < 50 {
			t.Errorf("the worlds have too little of what they should test: %v", seen)
		}
	}
	t.Log(seen)
}

// The order of rows and how they are spread over files decide nothing, as long as no two rows of a sample are equally
// old.
func TestResolveIsIndependentOfOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(randomWorlds / 2) {
		w := newWorld(t, seed, false)
		a, b := w.store(false), w.store(true)
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() {
				continue
			}
			one, other := w.resolve(f, a), w.resolve(f, b)
			for _, s := range []Status{New, Stale, Orphaned} {
				if g, w := incrementTexts(t, other, s), incrementTexts(t, one, s); !slices.Equal(g, w) {
					t.Errorf("seed %d: %s of %s in another order:\n%q\nwant\n%q", seed, s, key, g, w)
				}
			}
		}
	}
}

// A sample is done when its row is written: writing an increment leaves nothing to do.
func TestResolveAfterWritingIsEmpty(t *testing.T) {
	t.Parallel()
	for seed := range uint64(randomWorlds / 2) {
		w := newWorld(t, seed, false)
		s := w.store(false)
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() {
				continue
			}
			w.writeAll(f, s)
			inc := w.resolve(f, s)
			if n := inc.Count(New) + inc.Count(Stale) + inc.Count(Orphaned); n != 0 {
				t.Errorf("seed %d: %d samples of %s are left after a run that wrote all", seed, n, key)
			}
		}
	}
}

// writeAll does what a run does that leaves no sample out.
func (w *world) writeAll(f *feature.Feature, s store.Store) {
	inc := w.resolve(f, s)
	w.clock += 1_000_000
	stamp := Stamp{Now: time.UnixMicro(w.clock), Hashing: w.hashing}
	if expands(f) && inc.Count(Stale) > 0 {
		w.buryAll(f, s, stamp) // a run buries the children that are not made again; here, all of them
		inc = w.resolve(f, s)
		stamp.Now = stamp.Now.Add(time.Second)
	}
	for _, status := range []Status{New, Stale, Orphaned} {
		seal := Seal
		if status == Orphaned {
			seal = Tombstones
		}
		for _, rec := range collect(w.t, inc.Batches(context.Background(), status, nil, 0)) {
			if status != Orphaned {
				rec = w.children(f, rec)
			}
			rows, err := seal(f, rec, stamp)
			if err != nil {
				w.t.Fatal(err)
			}
			appendRows(w.t, s, f.Key(), rows)
		}
	}
}
