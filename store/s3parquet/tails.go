package s3parquet

import (
	"slices"
	"sync"
)

// Limits of a tails.
const (
	maxTail  = 64 << 10 // bytes of one file
	maxTails = 32 << 20 // bytes of all files
)

// A tails keeps the ends of data files, where Parquet has its footer, and all of small files. A run fetches rows from
// the same files again and again, and files never change: without it, each time would cost a request per file. The
// zero value is ready. It is safe for concurrent use.
type tails struct {
	mu    sync.Mutex
	known map[string][]byte
	order []string // oldest first
	bytes int
}

// get returns the last n bytes of a file, if they are known.
func (t *tails) get(name string, n int) ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tail, ok := t.known[name]
	if !ok || len(tail) < n {
		return nil, false
	}
	return tail[len(tail)-n:], true
}

// put keeps the end of a file, in place of the oldest ones.
func (t *tails) put(name string, tail []byte) {
	if len(tail) > maxTail {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.known[name]; ok {
		return
	}
	if t.known == nil {
		t.known = map[string][]byte{}
	}
	t.known[name] = slices.Clone(tail)
	t.order = append(t.order, name)
	for t.bytes += len(tail); t.bytes > maxTails; {
		oldest := t.order[0]
		t.bytes -= len(t.known[oldest])
		delete(t.known, oldest)
		t.order = t.order[1:]
	}
}
