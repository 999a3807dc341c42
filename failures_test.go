package metaxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/cenkalti/backoff/v5"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
)

var errBroken = errors.New("broken video")

// failing fails the named samples.
func failing(names ...string) func(context.Context, string) error {
	return func(_ context.Context, id string) error {
		for _, n := range names {
			if id == n {
				return fmt.Errorf("%s: %w", id, errBroken)
			}
		}
		return nil
	}
}

func TestFailedSamplesAreTriedByTheNextRun(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(20)...)
	r, err := ts.run(Options{Concurrency: 4}, ts.step("video/crop", cropper(failing("v0003", "v0007"))))
	wantCounts(t, r, "new=20 stale=0 orphaned=0 processed=18 failed=2")
	var se *SamplesError
	if !errors.As(err, &se) || se.Failed != 2 || se.Processed != 18 || se.Stopped || !errors.Is(err, errBroken) {
		t.Fatalf("got %#v", err)
	}
	for _, part := range []string{"video/crop: 2 samples failed, 18 are committed", `id="v0003": v0003: broken video`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	wantFailedMark(t, ts, 2)
	var called atomic.Int64
	r = ts.mustRun(Options{}, ts.step("video/crop", cropper(func(context.Context, string) error {
		called.Add(1)
		return nil
	})))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	if called.Load() != 2 {
		t.Errorf("%d samples were computed again", called.Load())
	}
	wantFailedMark(t, ts, 0)
}

// wantFailedMark checks what status will say.
func wantFailedMark(t *testing.T, ts *tables, want int64) {
	t.Helper()
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if got := engine.Failed(snap); got != want {
		t.Errorf("the table says that %d samples failed, want %d", got, want)
	}
}

func TestErrorTextIsBounded(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(300)...)
	_, err := ts.run(Options{MaxFailed: Tolerance{Count: 299}}, ts.step("video/crop", cropper(func(context.Context, string) error {
		return errors.New(strings.Repeat("x", 100_000))
	})))
	var se *SamplesError
	if !errors.As(err, &se) || se.Failed != 300 || len(se.Failures) != keptFailures {
		t.Fatalf("got %.200v", err)
	}
	if n := len(err.Error()); n > 4000 || !strings.Contains(err.Error(), "and 295 more") {
		t.Errorf("the error's text has %d bytes: %.300s", n, err)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTables(t, graph)
		ts.videos("1", numbered(5)...)
		var mu sync.Mutex
		tries := map[string]int{}
		begin := time.Now()
		r := ts.mustRun(Options{Retries: 2, RetryDelay: time.Minute}, ts.step("video/crop", cropper(func(_ context.Context, id string) error {
			mu.Lock()
			defer mu.Unlock()
			if tries[id]++; id == "v0002" && tries[id] < 3 {
				return errBroken
			}
			return nil
		})))
		wantCounts(t, r, "new=5 stale=0 orphaned=0 processed=5 failed=0")
		if tries["v0002"] != 3 || tries["v0001"] != 1 {
			t.Errorf("tries: %v", tries)
		}
		if d := time.Since(begin); d < time.Minute || d > 10*time.Minute {
			t.Errorf("two retries with a growing pause from a minute took %s", d)
		}
	})
}

func TestPermanentErrorIsNotRetried(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	var tries atomic.Int64
	r, err := ts.run(Options{Retries: 5}, ts.step("video/crop", cropper(func(context.Context, string) error {
		tries.Add(1)
		return backoff.Permanent(errBroken)
	})))
	if r.Failed != 1 || tries.Load() != 1 || !errors.Is(err, errBroken) {
		t.Errorf("failed=%d after %d tries: %v", r.Failed, tries.Load(), err)
	}
}

// TestWholeBatchFails retries the samples of a batch one by one, so that only the bad one fails.
func TestWholeBatchFails(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(10)...)
	p := ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
		for i := range int(b.Rows.NumRows()) {
			if column(b.Rows, "id").ValueStr(i) == "v0004" {
				return nil, errBroken
			}
		}
		return withColumns(b.Rows, []string{"id", "path"}), nil
	})
	r, err := ts.run(Options{Retries: 1, RetryDelay: 1, BatchSize: 10}, ts.step("video/crop", p))
	wantCounts(t, r, "new=10 stale=0 orphaned=0 processed=9 failed=1")
	if !errors.Is(err, errBroken) || len(r.Failures) != 1 || idString(r.Failures[0].ID) != `id="v0004"` {
		t.Errorf("failures %v, error %v", r.Failures, err)
	}
}

func TestBatchFail(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(10)...)
	var calls atomic.Int64
	p := ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
		calls.Add(1)
		for i := range int(b.Rows.NumRows()) {
			if i%2 == 0 {
				b.Fail(i, errBroken)
			}
		}
		return withColumns(b.Rows, []string{"id", "path"}), nil
	})
	r, _ := ts.run(Options{Retries: 1, RetryDelay: 1, Concurrency: 1}, ts.step("video/crop", p))
	// Ten samples, of which five fail and are tried again together, of which three fail.
	wantCounts(t, r, "new=10 stale=0 orphaned=0 processed=7 failed=3")
	if calls.Load() != 2 {
		t.Errorf("%d calls, want 2", calls.Load())
	}
}

func TestPanicFailsTheSample(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b", "c")
	r, err := ts.run(Options{}, ts.step("video/crop", cropper(func(_ context.Context, id string) error {
		if id == "b" {
			panic("index out of range")
		}
		return nil
	})))
	wantCounts(t, r, "new=3 stale=0 orphaned=0 processed=2 failed=1")
	var p *PanicError
	if !errors.As(err, &p) || p.Value != "index out of range" {
		t.Errorf("got %v", err)
	}
	if log := ts.log.String(); !strings.Contains(log, "the processor panicked") || !strings.Contains(log, "failures_test.go") {
		t.Errorf("no stack in the log: %s", log)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	for name, hang := range map[string]func(context.Context){
		"heeds its context":   func(ctx context.Context) { <-ctx.Done() },
		"ignores its context": func(context.Context) { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ts := newTables(t, graph)
				ts.videos("1", "a", "b", "c")
				begin := time.Now()
				r, err := ts.run(Options{SampleTimeout: time.Minute, Concurrency: 1}, ts.step("video/crop",
					cropper(func(ctx context.Context, id string) error {
						if id == "b" {
							hang(ctx)
							return ctx.Err()
						}
						return nil
					})))
				wantCounts(t, r, "new=3 stale=0 orphaned=0 processed=2 failed=1")
				if !errors.Is(err, errTimeout) || !strings.Contains(err.Error(), "more than 1m0s") {
					t.Errorf("got %v", err)
				}
				if d := time.Since(begin); d < time.Minute || d > 2*time.Minute {
					t.Errorf("took %s", d)
				}
				time.Sleep(2 * time.Hour) // for the goroutine that is left behind
			})
		})
	}
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	all := func(context.Context, string) error { return errBroken }
	some := failing("v0001", "v0002", "v0003")
	for _, c := range []struct {
		name    string
		max     Tolerance
		on      func(context.Context, string) error
		failed  int64 // at most
		fails   bool
		stopped bool
	}{
		{"none tolerated", Tolerance{}, some, 3, true, false},
		{"count holds", Tolerance{Count: 3}, some, 3, false, false},
		{"count exceeded", Tolerance{Count: 2}, some, 3, true, true},
		{"share holds", Tolerance{Percent: 2}, some, 3, false, false},
		{"share exceeded", Tolerance{Percent: 1}, some, 3, true, true},
		{"everything, count", Tolerance{Count: 10}, all, 20, true, true},
		{"everything, none tolerated", Tolerance{}, all, hopeless + 10, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("1", numbered(200)...)
			r, err := ts.run(Options{MaxFailed: c.max, Concurrency: 2}, ts.step("video/crop", cropper(c.on)))
			var se *SamplesError
			if errors.As(err, &se) != c.fails {
				t.Fatalf("got %v", err)
			}
			if c.fails && se.Stopped != c.stopped {
				t.Errorf("stopped: %t, want %t", se.Stopped, c.stopped)
			}
			if r.Failed > c.failed || r.Failed == 0 {
				t.Errorf("%d failed, want 1 to %d", r.Failed, c.failed)
			}
			if got := int64(len(ts.rows("video/crop", "id"))); got != r.Processed {
				t.Errorf("%d rows, but %d processed: what was computed before the stop must be committed", got, r.Processed)
			}
		})
	}
}

// TestWrongRows are answers that do not belong to the batch.
func TestWrongRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows []string
		want string
	}{
		"foreign id": {[]string{`{"id":"a","x":1}`, `{"id":"z","x":1}`}, `"z", which is not a sample of its batch`},
		"null id":    {[]string{`{"id":"a","x":1}`, `{"id":null,"x":1}`}, "no value in the id columns"},
		"no id":      {[]string{`{"x":1}`}, `no id column "id"`},
		"twice":      {[]string{`{"id":"a","x":1}`, `{"id":"a","x":2}`}, "more than one row"},
		"none":       {[]string{`{"id":"b","x":1}`}, "no row for the sample"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("1", "a", "b")
			rec := recordOf(t, c.rows...)
			_, err := ts.run(Options{}, ts.step("video/crop", ProcessorFunc(
				func(context.Context, *Batch) (arrow.RecordBatch, error) { return rec, nil })))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestColumnOfAnotherType ends the run at the first batch, before all are computed for nothing.
func TestColumnOfAnotherType(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	ts.videos("1", numbered(500)...)
	var calls atomic.Int64
	r, err := ts.run(Options{BatchSize: 1, Concurrency: 1}, ts.step("video/crop", ProcessorFunc(
		func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
			calls.Add(1)
			var out sheet
			out.add("id", column(b.Rows, "id"))
			out.add("crop", column(recordOf(t, `{"id":"a","n":5}`), "n"))
			return out.record(1), nil
		})))
	if err == nil || !strings.Contains(err.Error(), "crop") || r.Processed != 0 {
		t.Errorf("got %v, processed %d", err, r.Processed)
	}
	if calls.Load() > 3 {
		t.Errorf("%d calls after the first showed that none can be stored", calls.Load())
	}
}
