package metaxy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// These tests are about samples that are computed, which cost money, while something goes wrong beside them: they are
// committed.

// answers is a processor whose rows are JSON objects without the id.
type answers map[string]string

func (a answers) Process(context.Context, *Batch) (arrow.RecordBatch, error) {
	panic("answer is called")
}

func (a answers) answer(_ context.Context, b *Batch) (answer, error) {
	out := answer{objects: map[int][]object{}}
	for s, smp := range b.samples {
		out.objects[s] = []object{object(fmt.Sprintf(`{"id":%s,%s}`, smp.key, a[smp.key]))}
	}
	return out, nil
}

// TestTableThatDisagrees has another writer decide on the type of a column, while the commit is tried several times.
func TestTableThatDisagrees(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b", "c")
	says := answers{`"a"`: `"x":"one"`, `"b"`: `"x":1`, `"c"`: `"x":[2]`}
	tries := 0
	r, err := ts.run(Options{Concurrency: 1}, ts.spied(says, func(store.Write) error {
		switch tries++; tries {
		case 1:
			ts.put("video/crop", `{"id":"other","x":5,"metaxy_provenance_by_field":{"default":"1"}}`)
		case 2, 3:
			return store.ErrConflict
		}
		return nil
	}))
	var failed *SamplesError
	if !errors.As(err, &failed) || r.Processed != 1 || r.Failed != 2 || r.Elsewhere != 0 {
		t.Fatalf("got %v; %+v", err, r)
	}
	equal(t, "rows", ts.rows("video/crop", "id", "x"), []string{`{"id":"b","x":1}`, `{"id":"other","x":5}`})
	for _, f := range r.Failures {
		if !strings.Contains(f.Err.Error(), `"x"`) {
			t.Errorf("%s does not say which column", f)
		}
	}
}

// TestBatchesThatDisagree has results whose columns cannot be of one table. Most of them decide.
func TestBatchesThatDisagree(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b", "c")
	r, err := ts.run(Options{Concurrency: 1, BatchSize: 1}, ts.step("video/crop", ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
		id := column(b.Rows, "id").(*array.String).Value(0)
		if id == "b" {
			return recordOf(t, `{"id":"b","x":"text"}`), nil
		}
		return recordOf(t, fmt.Sprintf(`{"id":%q,"x":1}`, id)), nil
	})))
	var failed *SamplesError
	if !errors.As(err, &failed) || r.Processed != 2 || r.Failed != 1 {
		t.Fatalf("got %v; %+v", err, r)
	}
	equal(t, "rows", ts.rows("video/crop", "id", "x"), []string{`{"id":"a","x":1}`, `{"id":"c","x":1}`})
}

// TestProcessorThatDoesNotFit ends the run, but not without what was computed before.
func TestProcessorThatDoesNotFit(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(20)...)
	ts.put("video/crop", `{"id":"old","x":1,"metaxy_provenance_by_field":{"default":"1"}}`)
	n := 0
	r, err := ts.run(Options{Concurrency: 1, BatchSize: 1}, ts.step("video/crop", ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
		id := column(b.Rows, "id").(*array.String).Value(0)
		if n++; n == 8 {
			return recordOf(t, fmt.Sprintf(`{"id":%q,"x":"text"}`, id)), nil
		}
		return recordOf(t, fmt.Sprintf(`{"id":%q,"x":2}`, id)), nil
	})))
	var setup *SetupError
	if !errors.As(err, &setup) || r.Processed < 7 || int(r.Processed) != len(ts.rows("video/crop", "id"))-1 {
		t.Errorf("got %v, processed %d, %d rows", err, r.Processed, len(ts.rows("video/crop", "id")))
	}
}

// TestVersionsThatDoNotFit ends the run as a wrong column does, since every sample would fail alike.
func TestVersionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	for versions, want := range map[string]string{`{"audio":"1"}`: `field "audio"`, `{"default":"1","x":"2"}`: `field "x"`} {
		ts := newTables(t, graph)
		ts.videos("1", numbered(20)...)
		calls := 0
		_, err := ts.run(Options{Concurrency: 1, BatchSize: 1}, ts.step("video/crop", ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
			calls++
			return recordOf(t, fmt.Sprintf(`{"id":%q,"metaxy_data_version_by_field":%s}`, column(b.Rows, "id").(*array.String).Value(0), versions)), nil
		})))
		var setup *SetupError
		if !errors.As(err, &setup) || !strings.Contains(err.Error(), want) || calls > 3 {
			t.Errorf("versions %s: %v after %d calls", versions, err, calls)
		}
	}
}

// breaking is a store whose snapshots stop giving rows of a table after some fetches.
type breaking struct {
	*store.Memory
	key feature.Key
	ok  *atomic.Int64 // fetches that work
}

var errStorage = errors.New("the storage is away")

func (s breaking) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	snap, err := s.Memory.Snapshot(ctx, key)
	if err != nil || key != s.key {
		return snap, err
	}
	return brokenSnapshot{snap, s.ok}, nil
}

type brokenSnapshot struct {
	store.Snapshot
	ok *atomic.Int64
}

func (s brokenSnapshot) Fetch(ctx context.Context, rows []store.RowRef, columns []string) (arrow.RecordBatch, error) {
	if s.ok.Add(-1) < 0 {
		return nil, errStorage
	}
	return s.Snapshot.Fetch(ctx, rows, columns)
}

// TestReadingBreaksOff fails to read a later part of the increment while earlier ones are being computed.
func TestReadingBreaksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTables(t, graph)
		ts.videos("1", numbered(manyRows)...)
		ok := new(atomic.Int64)
		ok.Store(2)
		done := new(atomic.Int64)
		s := ts.step("video/crop", cropper(func(ctx context.Context, id string) error {
			defer done.Add(1)
			return sleep(ctx, time.Second)
		}))
		s.Store = func(context.Context) (store.Store, error) { return borrowed{breaking{ts.Memory, "video", ok}}, nil }
		r, err := ts.run(Options{Concurrency: 8, FlushRows: 100}, s)
		if !errors.Is(err, errStorage) {
			t.Fatalf("got %v", err)
		}
		if rows := len(ts.rows("video/crop", "id")); r.Processed < 100 || int(r.Processed) != rows || int64(rows) != done.Load() || r.Failed != 0 {
			t.Errorf("%d computed, %d processed, %d rows, %d failed", done.Load(), r.Processed, rows, r.Failed)
		}
	})
}

// TestReportFails: what is committed is done, also if nobody can count it afterwards.
func TestReportFails(t *testing.T) {
	t.Parallel()
	for _, attached := range []bool{false, true} {
		ts := newTables(t, graph)
		if attached {
			ts.attach(pipes.ContextData{AssetKeys: []string{"video/crop"}, RunID: "r"})
		}
		ts.videos("1", "a", "b")
		s := ts.step("video/crop", cropper(nil))
		unread := &unreadable{Memory: ts.Memory}
		s.Store = func(context.Context) (store.Store, error) { return borrowed{unread}, nil }
		r, err := ts.run(Options{}, s)
		wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
		if !attached && err != nil {
			t.Errorf("got %v although all is done and Dagster waits for nothing", err)
		}
		if attached && (!errors.Is(err, errStorage) || !strings.Contains(err.Error(), "2 samples are committed")) {
			t.Errorf("got %v, which does not say that all is committed", err)
		}
	}
}

// unreadable is a store whose table of video/crop cannot be opened once something was appended to it.
type unreadable struct {
	*store.Memory
	appended atomic.Bool
}

func (s *unreadable) Append(ctx context.Context, key feature.Key, w store.Write) (store.Commit, error) {
	defer s.appended.Store(true)
	return s.Memory.Append(ctx, key, w)
}

func (s *unreadable) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	if key == "video/crop" && s.appended.Load() {
		return nil, errStorage
	}
	return s.Memory.Snapshot(ctx, key)
}

// TestRowsFromTheFuture: another writer, whose clock is ahead, has written samples that are stale now, orphaned now, and
// written by it while this run is under way.
func TestRowsFromTheFuture(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b", "c")
	late := time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC)
	ts.putAt(late, "video/crop", `{"id":"a","crop":"old","metaxy_provenance_by_field":{"default":"old"}}`,
		`{"id":"gone","crop":"old","metaxy_provenance_by_field":{"default":"old"}}`)
	s := ts.step("video/crop", cropper(func(_ context.Context, id string) error {
		if id == "b" {
			ts.putAt(late, "video/crop", `{"id":"b","crop":"old","metaxy_provenance_by_field":{"default":"old"}}`)
		}
		return nil
	}))
	s.Store = func(context.Context) (store.Store, error) { return borrowed{forgetful{ts.Memory}}, nil }
	r := ts.mustRun(Options{DeleteOrphaned: true}, s)
	wantCounts(t, r, "new=2 stale=1 orphaned=1 processed=3 failed=0")
	equal(t, "rows", ts.rows("video/crop", "id", "crop"), []string{
		`{"id":"a","crop":"/v/a"}`, `{"id":"b","crop":"/v/b"}`, `{"id":"c","crop":"/v/c"}`})
	wantCounts(t, ts.mustRun(Options{}, ts.step("video/crop", cropper(nil))), "new=0 stale=0 orphaned=0 processed=0 failed=0")
	for _, row := range ts.rows("video/crop", "id", feature.ColUpdatedAt) {
		if strings.Contains(row, `"c"`) == strings.Contains(row, "2150") {
			t.Errorf("%s: only rows that replace others from the future may be stamped so", row)
		}
	}
}

// forgetful is a store that cannot tell which rows are new, as after a compaction.
type forgetful struct{ *store.Memory }

func (s forgetful) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	snap, err := s.Memory.Snapshot(ctx, key)
	return forgetfulSnapshot{snap}, err
}

type forgetfulSnapshot struct{ store.Snapshot }

func (s forgetfulSnapshot) Scan(ctx context.Context, q store.Query) iter.Seq2[store.Batch, error] {
	q.After = nil
	return s.Snapshot.Scan(ctx, q)
}

// TestClaimsOfOtherTables reads what a writer has committed that knows nothing of deletion, and remembers of it only what
// belongs to the shard.
func TestClaimsOfOtherTables(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(50)...)
	f := ts.lookup("video/crop")
	inc, err := engine.Resolve(t.Context(), ts.Memory, f, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for rec, err := range inc.Batches(t.Context(), engine.New, []string{"id", feature.ColProvenance}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			row := string(rowjson.AppendRow(nil, rec, i))
			rows = append(rows, fmt.Sprintf(`%s,%q:%q}`, row[:len(row)-1], feature.ColFeatureVersion, f.Version()))
		}
	}
	if _, err := ts.Append(t.Context(), f.Key(), store.Write{Rows: single(recordOf(t, rows...))}); err != nil {
		t.Fatal(err)
	}
	snap, err := ts.Snapshot(t.Context(), f.Key())
	if err != nil {
		t.Fatal(err)
	}
	shard := Shard{Index: 1, Count: 5}
	c := newClaims(f, relationOf(f), shard, -1)
	if err := c.catchUp(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	mine := 0
	for _, row := range rows {
		if key := strings.TrimPrefix(strings.SplitN(row, ",", 2)[0], `{"id":`); samplekey.InShard(key, shard.Index, shard.Count) {
			mine++
		}
	}
	if len(c.rows) != mine || mine == 0 {
		t.Errorf("%d claims of %d samples of the shard", len(c.rows), mine)
	}
}
