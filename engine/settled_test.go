package engine

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
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

// step changes something in a table of the world, or nothing.
func (w *world) step(s store.Store) string {
	key := pick(w.rng, w.keys)
	what := pick(w.rng, []string{"nothing", "rows", "rows", "row", "mark", "again"})
	switch what {
	case "rows", "row":
		before := len(w.rows[key])
		n := 1
		if what == "rows" {
			n += w.rng.IntN(4)
		}
		w.junk(w.feature(key), n)
		appendRows(w.t, s, key, w.rows[key][before])
	case "mark":
		if _, err := s.Append(context.Background(), key, store.Write{Marks: map[string]int64{FailedMark: w.rng.Int64N(3)}}); err != nil {
			w.t.Fatal(err)
		}
	case "again": // a table that was restored: rows of old in files of their own
		if len(w.rows[key]) > 0 {
			appendRows(w.t, s, key, pick(w.rng, w.rows[key]))
		}
	}
	return what
}

// What is recorded never changes an increment: on random histories, a resolve that may rest on a record gives what one
// gives that looks at all rows.
func TestSettledAgreesWithPlain(t *testing.T) {
	t.Parallel()
	narrowed := 0
	settledSeen, shortcuts := map[bool]int{}, map[settling]int{}
	for seed := range uint64(randomWorlds / 2) {
		w := newWorld(t, seed, false)
		s := w.store(false)
		for range 6 {
			for _, key := range w.keys {
				f := w.feature(key)
				if f.Root() {
					continue
				}
				o := Options{Hashing: w.hashing}
				how, _ := w.plan(f, s, o).settling()
				shortcuts[how]++
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
			w.step(s)
		}
	}
	for _, how := range []settling{unsettled, grown, settled} {
		if shortcuts[how] < 100 {
			t.Errorf("the histories have too little of what they should test: %v", shortcuts)
		}
	}
	if narrowed < 100 {
		t.Errorf("only %d resolves were restricted to what is new", narrowed)
	}
	t.Log(settledSeen, shortcuts, narrowed)
}

// narrowed resolves by what is new alone, however much that is; nil if that cannot be.
func (w *world) narrowed(f *feature.Feature, s store.Store, o Options) *Increment {
	w.t.Helper()
	p := w.plan(f, s, o)
	how, files := p.settling()
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
			if how, _ := p.settling(); how != unsettled {
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
