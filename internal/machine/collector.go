package machine

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// firstCollection is how large the memory of the process gets before garbage is looked for the first time. Go begins at 4 MiB
// of heap, so that a command that takes 40 MiB in all collects twenty times, a third of its CPU time.
const firstCollection = 48 << 20

// A collector is how the garbage collector of the process is set, or will be once it has begun.
type collector struct {
	mu      sync.Mutex
	waiting bool
	percent int
	limit   int64 // of memory, in bytes
}

// usualPercent is what Go begins with.
const usualPercent = 100

var process = collector{percent: usualPercent, limit: math.MaxInt64}

// DelayCollection has the garbage collector begin late. Until then, what [SetGCPercent] and [SetMemoryLimit] are told is for
// later, but for a limit that is lower.
func DelayCollection() {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return // somebody else decides
	}
	process.mu.Lock()
	defer process.mu.Unlock()
	process.waiting = true
	process.apply()
	// Garbage from the beginning on, which is noticed by the first collection. Objects without pointers share their memory
	// with others and may live longer.
	runtime.SetFinalizer(new(*int), func(**int) {
		process.mu.Lock()
		defer process.mu.Unlock()
		process.waiting = false
		process.apply()
	})
}

// SetGCPercent is [debug.SetGCPercent], unless the environment has set another percentage.
func SetGCPercent(percent int) {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.percent = percent
	process.apply()
}

// Sparing calls f with a garbage collector that lets no more garbage grow than usual, for work that holds much itself.
func Sparing(f func()) {
	process.mu.Lock()
	before := process.percent
	process.mu.Unlock()
	if before <= usualPercent {
		f()
		return
	}
	SetGCPercent(usualPercent)
	defer SetGCPercent(before)
	f()
}

// SetMemoryLimit is [debug.SetMemoryLimit], unless the environment has set another limit.
func SetMemoryLimit(bytes int64) {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.limit = bytes
	process.apply()
}

func (c *collector) apply() {
	percent, limit := c.percent, c.limit
	if c.waiting {
		percent, limit = -1, min(limit, firstCollection)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
