package engine

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// settle does what a run does that leaves no sample out, and records it if that can be.
func (w *world) settle(f *feature.Feature, s store.Store) {
	w.t.Helper()
	w.writeAll(f, s)
	snap, err := s.Snapshot(context.Background(), f.Key())
	if err != nil {
		w.t.Fatal(err)
	}
	version := snap.Version()
	marks := w.resolve(f, s).SettledMarks(version + 1)
	if _, err := s.Append(context.Background(), f.Key(), store.Write{Marks: marks, Expect: &version}); err != nil {
		w.t.Fatal(err)
	}
}

// step changes something in a table of the world, or nothing, and says what and in which.
func (w *world) step(s store.Store) (what string, table feature.Key) {
	key := pick(w.rng, w.keys)
	whats := []string{"nothing", "rows", "rows", "row", "mark", "again"}
	o, merges := s.(store.Optimizer)
	if merges {
		whats = append(whats, "merge", "merge", "merge")
	}
	what = pick(w.rng, whats)
	switch what {
	case "merge":
		done, err := o.Optimize(context.Background(), key,
			store.Optimization{SortBy: w.feature(key).Spec().IDColumns, Least: w.rng.IntN(4), Marks: CarriedMarks})
		if err != nil && !errors.Is(err, store.ErrNoTable) {
			w.t.Fatal(err)
		}
		if done.Removed == 0 {
			return "nothing", key
		}
	case "rows", "row":
		before := len(w.rows[key])
		n := 1
		if what == "rows" {
			n += w.rng.IntN(4)
		}
		w.junk(w.feature(key), n)
		appendRows(w.t, s, key, w.rows[key][before])
	case "mark":
		if _, err := s.Append(context.Background(), key, store.Write{Marks: map[string]int64{failedMark: w.rng.Int64N(3)}}); err != nil {
			w.t.Fatal(err)
		}
	case "again": // a table that was restored: rows of old in files of their own
		if len(w.rows[key]) > 0 {
			appendRows(w.t, s, key, pick(w.rng, w.rows[key]))
		}
	}
	return what, key
}

// What is recorded never changes an increment: on random histories, a resolve that may rest on a record gives what one
// gives that looks at all rows.
func TestSettledAgreesWithPlain(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		testSettled(t, randomWorlds/2, 1, 100, 0, func() store.Store { return store.NewMemory() })
	})
	t.Run("files", func(t *testing.T) { // which are merged now and then
		t.Parallel()
		testSettled(t, randomWorlds/8, 3, 15, 5, func() store.Store {
			s, err := s3parquet.Open(t.Context(), quickFolder(t), s3parquet.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
}

// quickFolder is a temporary folder, in memory where the system has a place for that: there, nobody waits for a disk to be done.
func quickFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "metaxy")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// testSettled plays histories with so many steps from resolve to resolve, in which each kind of answer has to occur at least
// so often, and some after files were merged.
func testSettled(t *testing.T, worlds, steps, least, merges int, open func() store.Store) {
	narrowed := 0
	settledSeen, shortcuts, overMerges := map[bool]int{}, map[settling]int{}, map[settling]int{}
	for seed := range uint64(worlds) {
		w := newWorld(t, seed, false)
		s := open()
		w.put(s, false)
		merged := map[feature.Key]bool{} // in the latest steps
		for range 6 {
			for _, key := range w.keys {
				f := w.feature(key)
				if f.Root() {
					continue
				}
				o := Options{Hashing: w.hashing}
				how, _ := w.plan(f, s, o).settling(context.Background())
				shortcuts[how]++
				if how != unsettled && slices.ContainsFunc(f.Parents(), func(p feature.Parent) bool { return merged[p.Feature.Key()] }) {
					overMerges[how]++
				}
				got := w.resolve(f, s)
				settledSeen[got.Settled()]++
				want, err := w.plan(f, s, o).resolve(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if narrow := w.narrowed(f, s, o); narrow != nil {
					narrowed++
					got = narrow
				}
				for _, status := range []Status{New, Stale, Orphaned} {
					if g, w := incrementTexts(t, got, status), incrementTexts(t, want, status); !slices.Equal(g, w) {
						t.Errorf("seed %d: %s of %s (record: %d):\n%q\nwant\n%q", seed, status, key, how, g, w)
					}
					if !got.Schema(status).Equal(want.Schema(status)) {
						t.Errorf("seed %d: the schema of %s samples of %s depends on the record", seed, status, key)
					}
				}
				if got.Unresolvable() != want.Unresolvable() {
					t.Errorf("seed %d: %s has %d unresolvable samples, want %d", seed, key, got.Unresolvable(), want.Unresolvable())
				}
				if how != settled && w.rng.IntN(3) > 0 {
					w.settle(f, s)
				}
			}
			clear(merged)
			for range steps {
				what, key := w.step(s)
				merged[key] = merged[key] || what == "merge"
			}
		}
	}
	for _, how := range []settling{unsettled, grown, settled} {
		if shortcuts[how] < least {
			t.Errorf("the histories have too little of what they should test: %v", shortcuts)
		}
	}
	if narrowed < least {
		t.Errorf("only %d resolves were restricted to what is new", narrowed)
	}
	if overMerges[settled] < merges || overMerges[grown] < merges {
		t.Errorf("only %v records were of use after files had been merged", overMerges)
	}
	t.Log(settledSeen, shortcuts, narrowed, overMerges)
}

// narrowed resolves by what is new alone, however much that is; nil if that cannot be.
func (w *world) narrowed(f *feature.Feature, s store.Store, o Options) *Increment {
	w.t.Helper()
	p := w.plan(f, s, o)
	how, files := p.settling(context.Background())
	if how != grown {
		return nil
	}
	k := newKeyed(p)
	if k == nil {
		return nil
	}
	var err error
	if k.only, err = k.restrict(context.Background(), files, maxRestricted); err != nil {
		w.t.Fatal(err)
	}
	if k.only == nil {
		return nil
	}
	inc, err := k.resolve(context.Background(), tiny(k))
	if err != nil {
		w.t.Fatal(err)
	}
	return inc
}

// A record speaks of whole increments by the present rules, and ends with the next commit.
func TestWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	newSettled := func() *scene {
		s := newScene(t, xy("video"), xy("speech", feature.Dep{Feature: "video"}))
		s.root("video", "1 a f", "2 b f")
		s.run("speech")
		return s
	}
	record := func(s *scene, version int64, change func(map[string]int64)) {
		inc := s.resolve("speech")
		snap, err := s.store.Snapshot(context.Background(), "speech")
		if err != nil {
			t.Fatal(err)
		}
		marks := maps.Clone(inc.SettledMarks(snap.Version() + version))
		if change != nil {
			change(marks)
		}
		if _, err := s.store.Append(context.Background(), "speech", store.Write{Marks: marks}); err != nil {
			t.Fatal(err)
		}
	}
	s := newSettled()
	record(s, 1, nil)
	if !s.resolve("speech").Settled() {
		t.Fatal("a settled feature is not known as such")
	}
	for _, o := range []Options{{StaleIf: []string{"id = '1'"}}, {GlobalFilters: []string{"id = '1'"}}, {SkipComparison: true},
		{Samples: batches()}} {
		if p, err := prepare(context.Background(), s.store, s.feature("speech"), o); err == nil {
			if how, _ := p.settling(context.Background()); how != unsettled {
				t.Errorf("a resolve with %+v rests on a record of one without", o)
			}
		}
	}
	s = newSettled()
	record(s, 0, nil)
	if s.resolve("speech").Settled() {
		t.Error("a record of another version than its own counts")
	}
	for name := range s.resolve("speech").SettledMarks(1) {
		if strings.HasPrefix(name, settledAt) {
			continue // it only says where to look for the state
		}
		s := newSettled()
		record(s, 1, func(m map[string]int64) { m[name]++ })
		if s.resolve("speech").Settled() {
			t.Errorf("a record with another %s counts", name)
		}
	}
	s = newSettled()
	record(s, 1, nil)
	s.delete("speech", "1")
	s.expect("speech", "new: 1")
	s = newSettled()
	record(s, 1, nil)
	s.root("video", "1 a f", "3 c f")
	s.expect("speech", "new: 3")
}

// A sample of which nothing can be said is told of every time.
func TestUnresolvableIsNotSettled(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("video"), xy("speech", feature.Dep{Feature: "video"}))
	s.root("video", "1 a f", "2 - f")
	s.run("speech")
	if marks := s.resolve("speech").SettledMarks(1); marks != nil {
		t.Errorf("it is recorded as settled: %v", marks)
	}
}

// A commit that changes no rows can carry on what is recorded about them; one that forgets to ends it.
func TestCarriedMarks(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("video"), xy("speech", feature.Dep{Feature: "video"}))
	s.root("video", "1 a f", "2 b f")
	s.run("speech")
	snap := func() store.Snapshot {
		snap, err := s.store.Snapshot(context.Background(), "speech")
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	commit := func(marks map[string]int64) {
		if _, err := s.store.Append(context.Background(), "speech", store.Write{Marks: marks}); err != nil {
			t.Fatal(err)
		}
	}
	if marks := CarriedMarks(snap(), 9); marks != nil {
		t.Errorf("of a table without records %v is carried", marks)
	}
	marks := s.resolve("speech").SettledMarks(snap().Version() + 1)
	maps.Copy(marks, s.digest("speech").Marks(s.feature("speech"), snap().Version()+1))
	commit(marks)
	commit(CarriedMarks(snap(), snap().Version()+1))
	if !s.resolve("speech").Settled() || !s.digest("speech").recorded {
		t.Error("what was carried does not hold")
	}
	commit(map[string]int64{"other": 1})
	if s.resolve("speech").Settled() || s.digest("speech").recorded || CarriedMarks(snap(), 9) != nil {
		t.Error("what was not carried holds")
	}
}
