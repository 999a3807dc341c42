package metaxy

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	p := pace{limit: 100, time: time.Millisecond}
	for i, step := range []struct {
		n    int
		took time.Duration
		good bool
		want int
	}{
		{1, 0, true, 2}, {2, 2 * time.Microsecond, true, 4}, {4, time.Millisecond / 2, true, 8}, {64, 0, true, 100},
		{100, 2 * time.Millisecond, true, 50}, {50, 10 * time.Second, true, 1}, {1, time.Hour, true, 1},
		{10, 0, true, 20}, {20, 0, false, 1},
	} {
		if p.note(step.n, step.took, step.good); p.size() != step.want {
			t.Errorf("step %d: size %d, want %d", i, p.size(), step.want)
		}
	}
}

// TestSlowSamplesAreShared has a processor that is fast for a while and then slow. All workers take part in what is slow,
// from the first to the last sample of it.
func TestSlowSamplesAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTables(t, graph)
		ts.videos("1", numbered(3*maxPace)...)
		begin := time.Now()
		var calls sync.Map
		slow := int64(0)
		r := ts.mustRun(Options{Concurrency: 4}, ts.step("video/crop", cropper(func(ctx context.Context, id string) error {
			if _, twice := calls.LoadOrStore(id, true); twice {
				t.Errorf("sample %s is computed twice", id)
			}
			if id < fmt.Sprintf("v%04d", 2*maxPace) {
				return nil
			}
			atomic.AddInt64(&slow, 1)
			return sleep(ctx, time.Minute)
		})))
		wantCounts(t, r, fmt.Sprintf("new=%d stale=0 orphaned=0 processed=%[1]d failed=0", 3*maxPace))
		if took, ideal := time.Since(begin), time.Duration(slow/4)*time.Minute; slow != maxPace || took > ideal+time.Minute {
			t.Errorf("%d slow samples took %s, 4 workers could do it in %s", slow, took, ideal)
		}
	})
}

// TestStopGivesNothingBack: what a call gives back has not begun, and is not begun after a stop.
func TestStopGivesNothingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ts := newTables(t, graph)
		ts.videos("1", numbered(3*maxPace)...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var slow atomic.Int64
		rs, err := Run(ctx, ts.session, Options{Concurrency: 2, Grace: time.Hour}, ts.step("video/crop", cropper(func(ctx context.Context, id string) error {
			if id < fmt.Sprintf("v%04d", maxPace) {
				return nil
			}
			if slow.Add(1) == 2 {
				cancel()
			}
			return sleep(ctx, time.Minute)
		})))
		if err == nil || rs[0].Failed != 0 || slow.Load() > 4 {
			t.Errorf("got %v, %d failed, %d samples begun", err, rs[0].Failed, slow.Load())
		}
		if got := int64(len(ts.rows("video/crop", "id"))); got != rs[0].Processed || got < maxPace+2 {
			t.Errorf("%d rows, %d processed", got, rs[0].Processed)
		}
	})
}

// Whatever order workers finish batches in, their samples are committed in the order of the intake.
func TestSamplesAreCommittedAsTakenIn(t *testing.T) {
	t.Parallel()
	of := func(number int, keys ...string) outcome {
		o := outcome{number: number}
		for _, k := range keys {
			o.done = append(o.done, finished{sample: sample{key: k}})
		}
		return o
	}
	var got []string
	for _, f := range asTakenIn([]outcome{of(2, "e"), of(0, "a", "c"), of(1, "d"), of(0, "b")}) {
		got = append(got, f.key)
	}
	if want := []string{"a", "c", "b", "d", "e"}; !slices.Equal(got, want) {
		t.Errorf("committed in the order %q, want %q", got, want)
	}
}
