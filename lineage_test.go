package metaxy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var lineages = feature.MustGraph(
	feature.Spec{Key: "clip", IDColumns: []string{"id", "n"}},
	feature.Spec{Key: "movie", IDColumns: ids, Deps: []feature.Dep{{Feature: "clip",
		Lineage: feature.Lineage{Kind: feature.ManyToOne, On: ids}}}},
	feature.Spec{Key: "reel", IDColumns: ids},
	feature.Spec{Key: "reel/frame", IDColumns: []string{"id", "frame"}, Deps: []feature.Dep{{Feature: "reel", Lineage: feature.Lineage{Kind: feature.OneToMany, On: ids}}}},
)

type clip struct {
	ID string `arrow:"id"`
	N  int64  `arrow:"n"`
}

type movie struct {
	N     int64 `arrow:"n"`
	First int64 `arrow:"first"`
}

type frame struct {
	Frame int64  `arrow:"frame"`
	Text  string `arrow:"text"`
}

// clips puts clips 1 to n of each movie, one movie after the other within each number.
func clips(ts *tables, version string, n int, movies ...string) {
	var rows []string
	for i := range n {
		for _, m := range movies {
			rows = append(rows, fmt.Sprintf(`{"id":%q,"n":%d,"metaxy_provenance_by_field":{"default":%q}}`, m, n-i, version))
		}
	}
	ts.put("clip", rows...)
}

func join(_ context.Context, cs []clip) (movie, error) {
	return movie{int64(len(cs)), cs[0].N}, nil
}

// TestAggregate gives the processor the rows of a sample together, in the order of their ids.
func TestAggregate(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	clips(ts, "1", 3, "a", "b", "c")
	r := ts.mustRun(Options{Concurrency: 2}, ts.step("movie", Aggregate(join)))
	wantCounts(t, r, "new=3 stale=0 orphaned=0 processed=3 failed=0")
	want := []string{`{"id":"a","n":3,"first":1}`, `{"id":"b","n":3,"first":1}`, `{"id":"c","n":3,"first":1}`}
	equal(t, "rows", ts.rows("movie", "id", "n", "first"), want)

	clips(ts, "2", 4, "b")
	r = ts.mustRun(Options{}, ts.step("movie", Aggregate(join)))
	wantCounts(t, r, "new=0 stale=1 orphaned=0 processed=1 failed=0")
	want[1] = `{"id":"b","n":4,"first":1}`
	equal(t, "rows", ts.rows("movie", "id", "n", "first"), want)
}

// TestAggregateAcrossFetches has more inputs in a sample than are read at a time.
func TestAggregateAcrossFetches(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	clips(ts, "1", manyRows+5, "a", "b")
	r := ts.mustRun(Options{Concurrency: 1}, ts.step("movie", Aggregate(join)))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	want := fmt.Sprintf(`"n":%d,"first":1}`, manyRows+5)
	equal(t, "rows", ts.rows("movie", "id", "n", "first"), []string{`{"id":"a",` + want, `{"id":"b",` + want})
}

func TestAggregateExternal(t *testing.T) {
	t.Parallel()
	args, _ := childOf(t, "aggregate")
	ts := newTables(t, lineages)
	clips(ts, "1", 3, "a", "b")
	r := ts.mustRun(Options{BatchSize: 2}, ts.step("movie", External(args)))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	equal(t, "rows", ts.rows("movie", "id", "n", "first"), []string{`{"id":"a","n":3,"first":1}`, `{"id":"b","n":3,"first":1}`})
}

func reels(ts *tables, version string, names ...string) {
	for _, n := range names {
		ts.put("reel", fmt.Sprintf(`{"id":%q,"metaxy_provenance_by_field":{"default":%q}}`, n, version))
	}
}

// frames makes count[id] frames of a reel.
func frames(count map[string]int) Processor {
	return Expand(func(_ context.Context, v struct {
		ID string `arrow:"id"`
	}) ([]frame, error) {
		out := []frame{}
		for i := range count[v.ID] {
			out = append(out, frame{int64(i), fmt.Sprint(v.ID, i)})
		}
		return out, nil
	})
}

func TestExpand(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	reels(ts, "1", "a", "b")
	r := ts.mustRun(Options{}, ts.step("reel/frame", frames(map[string]int{"a": 2, "b": 3})))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	equal(t, "rows", ts.rows("reel/frame", "id", "frame", "text"), []string{
		`{"id":"a","frame":0,"text":"a0"}`, `{"id":"a","frame":1,"text":"a1"}`, `{"id":"b","frame":0,"text":"b0"}`,
		`{"id":"b","frame":1,"text":"b1"}`, `{"id":"b","frame":2,"text":"b2"}`})

	// A reel that changes and has fewer frames then: the others vanish, and nothing stays stale.
	reels(ts, "2", "b")
	r = ts.mustRun(Options{}, ts.step("reel/frame", frames(map[string]int{"b": 1})))
	wantCounts(t, r, "new=0 stale=1 orphaned=0 processed=1 failed=0")
	if r.Deleted != 2 {
		t.Errorf("%d rows were deleted, want 2", r.Deleted)
	}
	equal(t, "ids", ts.rows("reel/frame", "id", "frame"), []string{`{"id":"a","frame":0}`, `{"id":"a","frame":1}`, `{"id":"b","frame":0}`})
	wantCounts(t, ts.mustRun(Options{}, ts.step("reel/frame", frames(nil))), "new=0 stale=0 orphaned=0 processed=0 failed=0")
}

func TestExpandExternal(t *testing.T) {
	t.Parallel()
	args, _ := childOf(t, "expand")
	ts := newTables(t, lineages)
	reels(ts, "1", "a")
	r := ts.mustRun(Options{}, ts.step("reel/frame", External(args)))
	wantCounts(t, r, "new=1 stale=0 orphaned=0 processed=1 failed=0")
	equal(t, "rows", ts.rows("reel/frame", "id", "frame", "sum"), []string{
		`{"id":"a","frame":0,"sum":0}`, `{"id":"a","frame":1,"sum":2}`, `{"id":"a","frame":2,"sum":4}`})
}

func TestRelations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		g    *feature.Graph
		key  feature.Key
		want relation
	}{
		{graph, "video/crop", relation{keys: ids}},
		{lineages, "movie", relation{keys: ids, aggregates: true, inputs: []string{"id", "n"}}},
		{lineages, "reel/frame", relation{keys: ids, expands: true}},
		{lineages, "clip", relation{keys: []string{"id", "n"}}},
	} {
		f, err := c.g.Lookup(c.key)
		if err != nil {
			t.Fatal(err)
		}
		if got := relationOf(f); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", c.key, got, c.want)
		}
	}
}

// TestScatteredRows gives the rows of aggregated samples in no order at all.
func TestScatteredRows(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	var rows []string
	for i := range 5 {
		for _, id := range []string{"b", "a", "c"} {
			rows = append(rows, fmt.Sprintf(`{"id":%q,"n":%d,"metaxy_provenance_by_field":{"default":"1"}}`, id, (i*3+2)%5))
		}
	}
	s := ts.step("movie", Aggregate(join))
	s.Samples = func(context.Context) iter.Seq2[arrow.RecordBatch, error] { return single(recordOf(t, rows...)) }
	r := ts.mustRun(Options{BatchSize: 2}, s)
	wantCounts(t, r, "new=3 stale=0 orphaned=0 processed=3 failed=0")
	equal(t, "rows", ts.rows("movie", "id", "n", "first"), []string{
		`{"id":"a","n":5,"first":0}`, `{"id":"b","n":5,"first":0}`, `{"id":"c","n":5,"first":0}`})
	wantCounts(t, ts.mustRun(Options{}, s), "new=0 stale=0 orphaned=0 processed=0 failed=0")
}

// TestExpandGivenSamples: only the processor knows the ids of what it makes.
func TestExpandGivenSamples(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	s := ts.step("reel/frame", frames(map[string]int{"a": 2, "b": 0}))
	s.Samples = func(context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return single(recordOf(t, `{"id":"a","frame":0,"metaxy_provenance_by_field":{"default":"1"}}`,
			`{"id":"b","frame":0,"metaxy_provenance_by_field":{"default":"1"}}`))
	}
	r := ts.mustRun(Options{}, s)
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	equal(t, "rows", ts.rows("reel/frame", "id", "frame", "text"), []string{`{"id":"a","frame":0,"text":"a0"}`, `{"id":"a","frame":1,"text":"a1"}`})
}

// TestExpandKilled ends a run after some expanded samples are committed. They are done, with the rows that they have no
// more deleted in the same commit, and are not computed again.
func TestExpandKilled(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	reels(ts, "1", "a", "b", "c")
	ts.mustRun(Options{}, ts.step("reel/frame", frames(map[string]int{"a": 3, "b": 3, "c": 3})))
	reels(ts, "2", "a", "b", "c")
	killed := errors.New("killed")
	appends := 0
	s := ts.step("reel/frame", frames(map[string]int{"a": 1, "b": 0, "c": 2}))
	s.Store = func(context.Context) (store.Store, error) {
		return borrowed{spy{ts.Memory, func(store.Write) error {
			if appends++; appends == 2 {
				return killed
			}
			return nil
		}}}, nil
	}
	r, err := ts.run(Options{BatchSize: 1, FlushRows: 1, Concurrency: 1}, s)
	if !errors.Is(err, killed) || r.Processed != 1 || r.Deleted != 2 {
		t.Fatalf("got %v, %+v", err, r)
	}
	equal(t, "rows", ts.rows("reel/frame", "id", "frame"), []string{
		`{"id":"a","frame":0}`, `{"id":"b","frame":0}`, `{"id":"b","frame":1}`, `{"id":"b","frame":2}`,
		`{"id":"c","frame":0}`, `{"id":"c","frame":1}`, `{"id":"c","frame":2}`})
	r = ts.mustRun(Options{}, s)
	wantCounts(t, r, "new=0 stale=2 orphaned=0 processed=2 failed=0")
	equal(t, "rows", ts.rows("reel/frame", "id", "frame"), []string{
		`{"id":"a","frame":0}`, `{"id":"c","frame":0}`, `{"id":"c","frame":1}`})
}

// TestExpandBesideAnotherRun leaves alone what another run has made of a sample meanwhile.
func TestExpandBesideAnotherRun(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	reels(ts, "1", "a")
	ts.mustRun(Options{}, ts.step("reel/frame", frames(map[string]int{"a": 2})))
	reels(ts, "2", "a")
	other := sync.OnceFunc(func() {
		reels(ts, "3", "a") // the other run has seen a newer reel
		if r := ts.mustRun(Options{}, ts.step("reel/frame", frames(map[string]int{"a": 4}))); r.Processed != 1 {
			t.Errorf("the other run: %+v", r)
		}
	})
	s := ts.step("reel/frame", frames(map[string]int{"a": 1}))
	s.Store = func(context.Context) (store.Store, error) {
		return borrowed{spy{ts.Memory, func(store.Write) error { other(); return nil }}}, nil
	}
	r := ts.mustRun(Options{}, s)
	if r.Deleted != 0 {
		t.Errorf("%d rows of the other run are deleted", r.Deleted)
	}
	// Rows of both are there, so that the sample is stale and the next run puts it right.
	wantCounts(t, ts.mustRun(Options{}, ts.step("reel/frame", frames(map[string]int{"a": 3}))), "new=0 stale=1 orphaned=0 processed=1 failed=0")
	equal(t, "rows", ts.rows("reel/frame", "frame"), []string{`{"frame":0}`, `{"frame":1}`, `{"frame":2}`})
}

// TestExpandTwice has a sample with two rows of one id, of which only one would be seen, and a sample that has another's.
func TestExpandTwice(t *testing.T) {
	t.Parallel()
	ts := newTables(t, lineages)
	reels(ts, "1", "a", "b")
	r, err := ts.run(Options{}, ts.step("reel/frame", Expand(func(_ context.Context, v struct {
		ID string `arrow:"id"`
	}) ([]frame, error) {
		if v.ID == "a" {
			return []frame{{0, "x"}, {1, "y"}, {0, "z"}}, nil
		}
		return []frame{{0, "x"}}, nil
	})))
	var failed *SamplesError
	if !errors.As(err, &failed) || r.Processed != 1 || r.Failed != 1 || !strings.Contains(err.Error(), "the same id") {
		t.Errorf("got %v, %+v", err, r)
	}
	equal(t, "rows", ts.rows("reel/frame", "id", "frame"), []string{`{"id":"b","frame":0}`})
}
