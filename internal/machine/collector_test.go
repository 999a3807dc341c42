package machine

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

var garbage []byte

// TestDelayCollection makes little garbage and then much: only then is there a collection, and what was set before it holds
// from there on.
func TestDelayCollection(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	defer debug.SetMemoryLimit(math.MaxInt64)
	defer func() { process.percent, process.limit = 100, math.MaxInt64 }()
	runtime.GC()

	DelayCollection()
	SetGCPercent(50)
	SetMemoryLimit(1 << 30)
	for _, c := range []struct {
		mebibytes int
		collects  bool
		percent   int
		limit     int64
	}{
		{16, false, -1, firstCollection},
		{256, true, 50, 1 << 30},
	} {
		began := collections()
		for range c.mebibytes {
			garbage = make([]byte, 1<<20)
		}
		for range 1000 { // the finalizer has a goroutine of its own
			if percent := debug.SetGCPercent(-1); percent != -1 || !c.collects {
				debug.SetGCPercent(percent)
				break
			}
			time.Sleep(time.Millisecond)
		}
		if collected := collections() > began; collected != c.collects {
			t.Errorf("%d MiB of garbage were collected: %t, want %t", c.mebibytes, collected, c.collects)
		}
		percent := debug.SetGCPercent(-1)
		debug.SetGCPercent(percent)
		if limit := debug.SetMemoryLimit(-1); percent != c.percent || limit != c.limit {
			t.Errorf("after %d MiB the collector goes by %d%% and %d bytes, want %d%% and %d", c.mebibytes, percent, limit, c.percent, c.limit)
		}
	}
}

func collections() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

// TestSparing looks at the percentage while it lasts and after.
func TestSparing(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	defer func() { process.percent = 100 }()
	for _, c := range []struct{ set, during int }{{200, 100}, {40, 40}} {
		SetGCPercent(c.set)
		Sparing(func() {
			percent := debug.SetGCPercent(-1)
			debug.SetGCPercent(percent)
			if percent != c.during {
				t.Errorf("set to %d, it is %d meanwhile; want %d", c.set, percent, c.during)
			}
		})
		if after := debug.SetGCPercent(-1); after != c.set {
			t.Errorf("set to %d, it is %d after", c.set, after)
		}
	}
}
