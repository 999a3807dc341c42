package metaxy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func TestRunOnceThenNothing(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "b", "a", `q"uote`, "new\nline", "sla/sh", "🎬", "")
	r := ts.mustRun(Options{Concurrency: 3}, ts.step("video/crop", cropper(nil)))
	wantCounts(t, r, "new=7 stale=0 orphaned=0 processed=7 failed=0")
	if r.Rows != 7 || r.DataVersion == "" || r.DataVersion == "empty" {
		t.Errorf("result has %d rows and data version %q", r.Rows, r.DataVersion)
	}
	equal(t, "rows", ts.rows("video/crop", "id", "crop"), []string{
		`{"id":"","crop":"/v/"}`, `{"id":"a","crop":"/v/a"}`, `{"id":"b","crop":"/v/b"}`,
		`{"id":"new\nline","crop":"/v/new\nline"}`, `{"id":"q\"uote","crop":"/v/q\"uote"}`,
		`{"id":"sla/sh","crop":"/v/sla/sh"}`, `{"id":"🎬","crop":"/v/🎬"}`})

	before := ts.stored("video/crop")
	again := ts.mustRun(Options{}, ts.step("video/crop", cropper(func(context.Context, string) error {
		t.Error("the processor was called although nothing has changed")
		return nil
	})))
	wantCounts(t, again, "new=0 stale=0 orphaned=0 processed=0 failed=0")
	if again.DataVersion != r.DataVersion {
		t.Errorf("data version changed from %q to %q although nothing else did", r.DataVersion, again.DataVersion)
	}
	if after := ts.stored("video/crop"); after != before {
		t.Errorf("a run without work wrote %d rows", after-before)
	}
}

func TestRunStale(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b", "c")
	first := ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	ts.videos("2", "b")
	var called sync.Map
	r := ts.mustRun(Options{}, ts.step("video/crop", cropper(func(_ context.Context, id string) error {
		called.Store(id, true)
		return nil
	})))
	wantCounts(t, r, "new=0 stale=1 orphaned=0 processed=1 failed=0")
	for _, id := range []string{"a", "c"} {
		if _, ok := called.Load(id); ok {
			t.Errorf("%s was computed again although its video has not changed", id)
		}
	}
	if r.DataVersion == first.DataVersion || r.Rows != 3 {
		t.Errorf("data version %q after %q, %d rows", r.DataVersion, first.DataVersion, r.Rows)
	}
}

func TestRunSealsRows(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	f := ts.lookup("video/crop")
	want := fmt.Sprintf(`{"id":"a","metaxy_feature_version":%q,"metaxy_project_version":%q,"metaxy_deleted_at":null}`,
		f.Version(), projectVersion(graph, f))
	equal(t, "row", ts.rows("video/crop", "id", "metaxy_feature_version", "metaxy_project_version", "metaxy_deleted_at"), []string{want})
	// The processor's columns are stored, and the parents' are not.
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if snap.Schema().HasField("path") || !snap.Schema().HasField("crop") {
		t.Errorf("stored columns are %q", columnNames(snap.Schema()))
	}
}

// TestRunParentsFirst gives two steps in the wrong order.
func TestRunParentsFirst(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b")
	type face struct {
		Faces int64 `arrow:"faces"`
	}
	faces := Each(func(_ context.Context, c crop) (face, error) { return face{int64(len(c.Crop))}, nil })
	rs, err := Run(t.Context(), ts.session, Options{}, ts.step("video/face", faces), ts.step("video/crop", cropper(nil)))
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) != 2 || rs[0].Feature != "video/crop" || rs[1].Feature != "video/face" {
		t.Fatalf("ran %v", rs)
	}
	equal(t, "faces", ts.rows("video/face", "id", "faces"), []string{`{"id":"a","faces":4}`, `{"id":"b","faces":4}`})
	if got, want := rs.Summary(), "new=4 stale=0 orphaned=0 processed=4 failed=0"; got != want {
		t.Errorf("summary %q, want %q", got, want)
	}
}

// TestRunRootWithSamples feeds a root feature by its own step.
func TestRunRootWithSamples(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	s := ts.step("video", Each(func(_ context.Context, v video) (video, error) { return v, nil }))
	s.Samples = func(context.Context) iter.Seq2[arrow.RecordBatch, error] {
		return single(recordOf(t, `{"id":"a","path":"/x","metaxy_provenance_by_field":{"default":"7"}}`))
	}
	wantCounts(t, ts.mustRun(Options{}, s), "new=1 stale=0 orphaned=0 processed=1 failed=0")
	equal(t, "rows", ts.rows("video", "id", "path", "metaxy_provenance_by_field"),
		[]string{`{"id":"a","path":"/x","metaxy_provenance_by_field":{"default":"7"}}`})
	wantCounts(t, ts.mustRun(Options{}, s), "new=0 stale=0 orphaned=0 processed=0 failed=0")
}

func TestRunOrphans(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b", "c")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	ts.remove("video", "b")
	r := ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	wantCounts(t, r, "new=0 stale=0 orphaned=1 processed=0 failed=0")
	if got := len(ts.rows("video/crop", "id")); got != 3 {
		t.Errorf("%d rows: orphaned samples are kept by default", got)
	}
	r = ts.mustRun(Options{DeleteOrphaned: true}, ts.step("video/crop", cropper(nil)))
	if r.Deleted != 1 || r.Rows != 2 {
		t.Errorf("deleted %d, %d rows are left", r.Deleted, r.Rows)
	}
	equal(t, "rows", ts.rows("video/crop", "id"), []string{`{"id":"a"}`, `{"id":"c"}`})
	wantCounts(t, ts.mustRun(Options{DeleteOrphaned: true}, ts.step("video/crop", cropper(nil))),
		"new=0 stale=0 orphaned=0 processed=0 failed=0")
}

// remove soft-deletes a sample.
func (ts *tables) remove(key feature.Key, id string) {
	ts.t.Helper()
	snap, err := ts.Snapshot(ts.t.Context(), key)
	if err != nil {
		ts.t.Fatal(err)
	}
	for rec, err := range engine.Read(ts.t.Context(), snap, ts.lookup(key), engine.ReadOptions{}) {
		if err != nil {
			ts.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			if column(rec, "id").ValueStr(i) != id {
				continue
			}
			dead, err := engine.Tombstones(ts.lookup(key), rec.NewSlice(int64(i), int64(i)+1), engine.Stamp{Now: nextTime()})
			if err != nil {
				ts.t.Fatal(err)
			}
			if _, err := ts.Append(ts.t.Context(), key, store.Write{Rows: single(dead)}); err != nil {
				ts.t.Fatal(err)
			}
		}
	}
}

func TestRunLimit(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(10)...)
	for i, want := range []string{"new=10 stale=0 orphaned=0 processed=4 failed=0", "new=6 stale=0 orphaned=0 processed=4 failed=0",
		"new=2 stale=0 orphaned=0 processed=2 failed=0"} {
		r := ts.mustRun(Options{Limit: 4, Concurrency: 2}, ts.step("video/crop", cropper(nil)))
		if got := counts(r); got != want {
			t.Errorf("run %d: got %s, want %s", i, got, want)
		}
	}
}

func TestRunDry(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b")
	r := ts.mustRun(Options{DryRun: true, DeleteOrphaned: true}, ts.step("video/crop", nil))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=0 failed=0")
	if _, err := ts.Snapshot(t.Context(), "video/crop"); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("a dry run made a table: %v", err)
	}
}

// TestRunShards runs the shards of one increment one after the other: each sample belongs to exactly one.
func TestRunShards(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	names := numbered(100)
	ts.videos("1", names...)
	var mu sync.Mutex
	seen := map[string]int{}
	for i := range 3 {
		r := ts.mustRun(Options{Shard: Shard{i, 3}}, ts.step("video/crop", cropper(func(_ context.Context, id string) error {
			mu.Lock()
			defer mu.Unlock()
			seen[id]++
			return nil
		})))
		if r.New == 0 || r.New != r.Processed || r.New > 60 {
			t.Errorf("shard %d has %d of 100 samples and processed %d", i, r.New, r.Processed)
		}
	}
	for _, n := range names {
		if seen[n] != 1 {
			t.Errorf("%s was processed %d times", n, seen[n])
		}
	}
}

// TestShardOfSample pins the place of samples: with another one, shards of two versions of a program would overlap.
func TestShardOfSample(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{`"v0000"`: 2, `"v0001"`: 3, `"a"`: 3, `"a",5`: 3, `"🎬"`: 6, `-9007199254740993`: 5} {
		got := -1
		for i := range 8 {
			if samplekey.InShard(key, i, 8) {
				if got >= 0 {
					t.Errorf("%s is in two shards", key)
				}
				got = i
			}
		}
		if got != want {
			t.Errorf("%s is in shard %d of 8, want %d", key, got, want)
		}
	}
}

func TestRunBatches(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(10)...)
	var calls, most atomic.Int64
	p := ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
		calls.Add(1)
		if n := b.Rows.NumRows(); n > most.Load() {
			most.Store(n)
		}
		return withColumns(b.Rows, []string{"path", "id"}), nil
	})
	r := ts.mustRun(Options{BatchSize: 4, Concurrency: 1}, ts.step("video/crop", p))
	wantCounts(t, r, "new=10 stale=0 orphaned=0 processed=10 failed=0")
	if calls.Load() != 3 || most.Load() != 4 {
		t.Errorf("%d calls with at most %d samples", calls.Load(), most.Load())
	}
}

func TestSetupErrors(t *testing.T) {
	t.Parallel()
	type wrongType struct {
		Path int64 `arrow:"path"`
	}
	type missing struct {
		Title string `arrow:"title"`
	}
	type system struct {
		V string `arrow:"metaxy_provenance"`
	}
	for _, c := range []struct {
		name string
		p    Processor
		o    Options
		key  feature.Key
		want string
	}{
		{"type", Each(func(context.Context, wrongType) (crop, error) { return crop{}, nil }), Options{}, "video/crop", `field metaxy.wrongType.Path is int64, which cannot hold column "path" of type utf8`},
		{"missing", Each(func(context.Context, missing) (crop, error) { return crop{}, nil }), Options{}, "video/crop", `field metaxy.missing.Title: the samples have no column "title"`},
		{"system", Each(func(context.Context, video) (system, error) { return system{}, nil }), Options{}, "video/crop", `column "metaxy_provenance" is written by the runner`},
		{"no struct", Each(func(context.Context, video) (string, error) { return "", nil }), Options{}, "video/crop", "string is not a struct"},
		{"lineage", Expand(func(context.Context, video) ([]crop, error) { return nil, nil }), Options{}, "video/crop", "needs metaxy.Each"},
		{"no processor", nil, Options{}, "video/crop", "has no processor"},
		{"root", cropper(nil), Options{}, "video", "metaxy-pipes ingest"},
		{"unknown", cropper(nil), Options{}, "video/corp", "video/crop"},
		{"shard", cropper(nil), Options{Shard: Shard{3, 3}}, "video/crop", "0 <= i < n"},
		{"no command", External(nil), Options{}, "video/crop", "has no command"},
		{"wrong command", External([]string{"no-such-program-x"}), Options{}, "video/crop", "no-such-program-x"},
		{"partition", cropper(nil), Options{Partition: "x"}, "video/crop", "COLUMN=VALUE"},
		{"partition column", cropper(nil), Options{Partition: "day=x"}, "video/crop", `no column "day"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("1", "a")
			_, err := ts.run(c.o, ts.step(c.key, c.p))
			var setup *SetupError
			if !errors.As(err, &setup) || !contains(err.Error(), c.want) {
				t.Errorf("got %v, want a SetupError with %q", err, c.want)
			}
			if _, err := ts.Snapshot(t.Context(), "video/crop"); !errors.Is(err, store.ErrNoTable) {
				t.Errorf("something was written: %v", err)
			}
		})
	}
}

// TestMissingParent is a table that is not there yet, which is no matter of set-up.
func TestMissingParent(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	_, err := ts.run(Options{}, ts.step("video/crop", cropper(nil)))
	var setup *SetupError
	if !errors.Is(err, store.ErrNoTable) || errors.As(err, &setup) {
		t.Errorf("got %v", err)
	}
}
