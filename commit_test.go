package metaxy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// spy is a store that looks at appends before they happen.
type spy struct {
	*store.Memory
	before func(w store.Write) error
}

func (s spy) Append(ctx context.Context, key feature.Key, w store.Write) (store.Commit, error) {
	if err := s.before(w); err != nil {
		return store.Commit{}, err
	}
	return s.Memory.Append(ctx, key, w)
}

// spied is a step on a store that calls before.
func (ts *tables) spied(p Processor, before func(w store.Write) error) Step {
	s := ts.step("video/crop", p)
	s.Store = func(context.Context) (store.Store, error) { return borrowed{spy{ts.Memory, before}}, nil }
	return s
}

// watcher is a store that looks at tables before they are opened.
type watcher struct {
	*store.Memory
	before func(feature.Key)
}

func (w watcher) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	w.before(key)
	return w.Memory.Snapshot(ctx, key)
}

// watched is the step on a store that calls before.
func (ts *tables) watched(s Step, before func(feature.Key)) Step {
	s.Store = func(context.Context) (store.Store, error) { return borrowed{watcher{ts.Memory, before}}, nil }
	return s
}

func TestFlushByRows(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(25)...)
	var sizes []int64
	r := ts.mustRun(Options{FlushRows: 10, BatchSize: 1, Concurrency: 1}, ts.spied(cropper(nil), func(w store.Write) error {
		n := int64(0)
		w.Rows = counted(w.Rows, &n)
		for _, err := range w.Rows {
			if err != nil {
				return err
			}
		}
		if fmt.Sprint(w.SortedBy) != "[id]" || w.Expect == nil {
			t.Errorf("write is sorted by %q and expects %v", w.SortedBy, w.Expect)
		}
		if w.Properties["metaxy.hash_algorithm"] != "xxh3_64" {
			t.Errorf("table properties are %v", w.Properties)
		}
		sizes = append(sizes, n)
		return nil
	}))
	wantCounts(t, r, "new=25 stale=0 orphaned=0 processed=25 failed=0")
	equal(t, "rows of each commit", sizes, []int64{10, 10, 5})
}

func counted(rows iter.Seq2[arrow.RecordBatch, error], n *int64) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for rec, err := range rows {
			if err == nil {
				*n += rec.NumRows()
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// TestFlushByTime has samples of a minute each, and commits every five minutes.
func TestFlushByTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTables(t, graph)
		ts.videos("1", numbered(12)...)
		begin := time.Now()
		var at []time.Duration
		slow := cropper(func(ctx context.Context, _ string) error { return sleep(ctx, time.Minute) })
		r := ts.mustRun(Options{FlushInterval: 5*time.Minute - time.Second, Concurrency: 1}, ts.spied(slow, func(store.Write) error {
			at = append(at, time.Since(begin).Round(time.Minute))
			return nil
		}))
		wantCounts(t, r, "new=12 stale=0 orphaned=0 processed=12 failed=0")
		equal(t, "commits", at, []time.Duration{6 * time.Minute, 11 * time.Minute, 12 * time.Minute})
		if log := ts.log.String(); !strings.Contains(log, "progress") || !strings.Contains(log, "left=") {
			t.Errorf("no progress in the log: %s", log)
		}
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestInterrupted cancels a run between two commits: what is done is committed, and the next run does the rest.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(100)...)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("interrupted by SIGTERM")
	var n atomic.Int64
	rs, err := Run(ctx, ts.session, Options{FlushRows: 10, Concurrency: 2}, ts.step("video/crop", cropper(func(context.Context, string) error {
		if n.Add(1) == 35 {
			cancel(reason)
		}
		return nil
	})))
	if !errors.Is(err, reason) || len(rs) != 1 {
		t.Fatalf("got %v, %v", rs, err)
	}
	done := rs[0].Processed
	if rows := len(ts.rows("video/crop", "id")); int64(rows) != done || done != n.Load() || rs[0].Failed != 0 {
		t.Errorf("%d computed, %d processed, %d rows, %d failed", n.Load(), done, rows, rs[0].Failed)
	}
	r := ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	if r.Processed != 100-done || ts.stored("video/crop") != 100 {
		t.Errorf("the second run processed %d after %d; %d rows are stored", r.Processed, done, ts.stored("video/crop"))
	}
}

// TestGrace lets samples in work finish, but not forever. What is cut off has not failed.
func TestGrace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		takes time.Duration
		want  string
	}{{20 * time.Second, "new=9 stale=0 orphaned=0 processed=3 failed=0"}, {time.Hour, "new=9 stale=0 orphaned=0 processed=0 failed=0"}} {
		t.Run(c.takes.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ts := newTables(t, graph)
				ts.videos("1", numbered(9)...)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				begin := time.Now()
				slow := cropper(func(ctx context.Context, _ string) error { return sleep(ctx, c.takes) })
				rs, err := Run(ctx, ts.session, Options{Grace: 30 * time.Second, Concurrency: 3, Retries: 3}, ts.step("video/crop", slow))
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
				wantCounts(t, rs[0], c.want)
				if d := time.Since(begin); d > 32*time.Second {
					t.Errorf("took %s", d)
				}
			})
		})
	}
}

// TestTwoRunsAtOnce has two runs resolve the same samples. All are committed, none twice.
func TestTwoRunsAtOnce(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	names := numbered(200)
	ts.videos("1", names...)
	ts.mustRun(Options{Limit: 1}, ts.step("video/crop", cropper(nil)))
	var both sync.WaitGroup
	both.Add(2)
	var once [2]sync.Once
	var runs sync.WaitGroup
	results := make([]Result, 2)
	for i := range results {
		runs.Go(func() {
			results[i], _ = ts.run(Options{FlushRows: 7, Concurrency: 2}, ts.step("video/crop", cropper(func(context.Context, string) error {
				once[i].Do(func() { // both have resolved before either commits
					both.Done()
					both.Wait()
				})
				return nil
			})))
		})
	}
	runs.Wait()
	if got := ts.stored("video/crop"); got != 200 {
		t.Errorf("%d rows are stored for 200 samples", got)
	}
	a, b := results[0], results[1]
	if a.Processed+b.Processed != 199 || a.Processed+a.Elsewhere != 199 || b.Processed+b.Elsewhere != 199 {
		t.Errorf("processed %d and %d, left to the other %d and %d", a.Processed, b.Processed, a.Elsewhere, b.Elsewhere)
	}
}

// TestOtherRunCommitsOlderVersion: a row that another run has written for an older version does not stand in for ours.
func TestOtherRunCommitsOlderVersion(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	r := ts.mustRun(Options{}, ts.step("video/crop", cropper(func(context.Context, string) error {
		ts.put("video/crop", `{"id":"a","crop":"old","metaxy_provenance_by_field":{"default":"other"}}`)
		return nil
	})))
	wantCounts(t, r, "new=1 stale=0 orphaned=0 processed=1 failed=0")
	equal(t, "rows", ts.rows("video/crop", "crop"), []string{`{"crop":"/v/a"}`})
}

// TestConflictIsTriedAgain lets another writer come first, several times.
func TestConflictIsTriedAgain(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b")
	n := 0
	r := ts.mustRun(Options{}, ts.spied(cropper(nil), func(store.Write) error {
		if n++; n <= 3 {
			ts.put("video/crop", fmt.Sprintf(`{"id":"other%d","crop":"x","metaxy_provenance_by_field":{"default":"1"}}`, n))
		}
		return nil
	}))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	if n != 4 || ts.stored("video/crop") != 5 {
		t.Errorf("%d appends, %d rows", n, ts.stored("video/crop"))
	}
}

// TestCommitFails ends the run with the store's error and takes no more samples.
func TestCommitFails(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(500)...)
	full := errors.New("no space left")
	var calls atomic.Int64
	r, err := ts.run(Options{FlushRows: 5, Concurrency: 2}, ts.spied(cropper(func(context.Context, string) error {
		calls.Add(1)
		return nil
	}), func(store.Write) error { return full }))
	if !errors.Is(err, full) || r.Processed != 0 || !strings.Contains(err.Error(), "video/crop") {
		t.Errorf("got %v, processed %d", err, r.Processed)
	}
	if calls.Load() > 100 {
		t.Errorf("%d of 500 samples were computed although nothing can be stored", calls.Load())
	}
}

// TestOrphanThatCameBack stays when another run has written it meanwhile.
func TestOrphanThatCameBack(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	ts.remove("video", "b")
	first := true
	r := ts.mustRun(Options{DeleteOrphaned: true}, ts.spied(cropper(nil), func(store.Write) error {
		if first {
			first = false
			ts.put("video/crop", `{"id":"b","crop":"back","metaxy_provenance_by_field":{"default":"1"}}`)
		}
		return nil
	}))
	if r.Deleted != 0 || len(ts.rows("video/crop", "id")) != 2 {
		t.Errorf("deleted %d; rows %v", r.Deleted, ts.rows("video/crop", "id"))
	}
}
