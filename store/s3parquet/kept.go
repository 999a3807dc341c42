package s3parquet

import (
	"cmp"
	"slices"
	"sync"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

// Limits of what a store keeps of its data files, in bytes: of one part, and of all.
const (
	maxEnd   = 1 << 20
	maxEnds  = 32 << 20
	maxPage  = 8 << 20
	maxPages = 12 << 20
)

// A kept keeps parts of data files, the latest ones. A run fetches rows from the same files again and again, and files
// never change: without it, each time would cost a request per file, and pages that two fetches share would be read twice.
// It is safe for concurrent use.
type kept struct {
	part, all int // limits, in bytes

	mu    sync.Mutex
	known map[string][]keptPart // by file, in the order of their offsets; none lies in another
	order []keptKey             // oldest first
	bytes int
}

type keptPart struct {
	off  int64
	data []byte
}

func (p keptPart) end() int64 { return p.off + int64(len(p.data)) }

type keptKey struct {
	name string
	off  int64
}

func newKept(part, all int) *kept { return &kept{part: part, all: all, known: map[string][]keptPart{}} }

// find returns where among the parts the first one is that begins behind an offset.
func find(parts []keptPart, off int64) int {
	i, _ := slices.BinarySearchFunc(parts, off+1, func(p keptPart, off int64) int { return cmp.Compare(p.off, off) })
	return i
}

// get returns n bytes of a file, if they are known.
func (k *kept) get(name string, off int64, n int) ([]byte, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	parts := k.known[name]
	i := find(parts, off) - 1 // since none lies in another, no earlier one ends later
	if i < 0 || parts[i].end() < off+int64(n) {
		return nil, false
	}
	return parts[i].data[off-parts[i].off:][:n:n], true
}

// put keeps a part of a file, in place of the oldest ones.
func (k *kept) put(name string, off int64, b []byte) {
	if len(b) == 0 || len(b) > k.part {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	part := keptPart{off, b}
	parts := k.known[name]
	i := find(parts, off)
	if i > 0 && parts[i-1].end() >= part.end() {
		return
	}
	if i > 0 && parts[i-1].off == off {
		i--
	}
	last := i
	for last < len(parts) && parts[last].end() <= part.end() {
		last++
	}
	k.drop(name, i, last)
	k.known[name] = slices.Insert(k.known[name], i, part)
	k.order = append(k.order, keptKey{name, off})
	for k.bytes += len(b); k.bytes > k.all; {
		oldest := k.order[0]
		at := find(k.known[oldest.name], oldest.off)
		k.drop(oldest.name, at-1, at)
	}
}

// drop forgets parts of a file.
func (k *kept) drop(name string, from, to int) {
	parts := k.known[name]
	for _, p := range parts[from:to] {
		k.bytes -= len(p.data)
		at := slices.Index(k.order, keptKey{name, p.off})
		k.order = slices.Delete(k.order, at, at+1)
	}
	if parts = slices.Delete(parts, from, to); len(parts) == 0 {
		delete(k.known, name)
	} else {
		k.known[name] = parts
	}
}

// forget drops all parts of a file.
func (k *kept) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(name, 0, len(k.known[name]))
}

// fileParts is what a store keeps of one data file.
type fileParts struct {
	store *Store
	name  string
}

var _ columnar.Keeper = fileParts{}

// Kept implements columnar.Keeper.
func (p fileParts) Kept(off int64, n int) ([]byte, bool) {
	if b, ok := p.store.ends.get(p.name, off, n); ok {
		return b, true
	}
	return p.store.pages.get(p.name, off, n)
}

// Keep implements columnar.Keeper.
func (p fileParts) Keep(off int64, b []byte, pages bool) {
	if pages {
		p.store.pages.put(p.name, off, b)
	} else {
		p.store.ends.put(p.name, off, b)
	}
}

// forget drops what is kept of a file that turned out to be damaged, since the way from the storage may have done that.
func (p fileParts) forget() {
	p.store.ends.forget(p.name)
	p.store.pages.forget(p.name)
}
