package engine

import (
	"sync/atomic"
	"unsafe"
)

// A chunkPool gives out chunks of memory of one size, up to a number. The memory is not the garbage collector's, which
// would let as much again pile up before it collects.
type chunkPool struct {
	size   int // of a chunk, in words
	memory []byte
	begun  atomic.Int64 // chunks given out of those that are kept for the first of each writer and partition
	next   atomic.Int64 // chunks given out of the others, which come after those
	kept   int64
	total  int64
}

// newChunkPool makes a pool of chunks of size words. Of the total, some are kept for first.
func newChunkPool(size, total, kept int) *chunkPool {
	return &chunkPool{size: size, memory: mapMemory(8 * size * total), kept: int64(kept), total: int64(total)}
}

// first returns one of the chunks that are kept. Who calls it more often than there are gets a panic.
func (p *chunkPool) first() []uint64 {
	n := p.begun.Add(1) - 1
	if n >= p.kept {
		panic("engine: more first chunks than were kept")
	}
	return p.chunk(n)
}

// another returns a chunk, or nil when all are in use.
func (p *chunkPool) another() []uint64 {
	if n := p.kept + p.next.Add(1) - 1; n < p.total {
		return p.chunk(n)
	}
	return nil
}

func (p *chunkPool) chunk(n int64) []uint64 {
	bytes := p.memory[8*int64(p.size)*n:]
	return unsafe.Slice((*uint64)(unsafe.Pointer(&bytes[0])), p.size)
}

// close gives the memory back.
func (p *chunkPool) close() {
	unmapMemory(p.memory)
	p.memory = nil
}
