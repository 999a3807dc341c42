package engine

import (
	"fmt"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Partitions hold entries, divided by the upper bits of their keys, in chunks of one size. As long as the memory
// suffices it keeps all chunks there. After that full chunks go to a temporary file.
type partitions struct {
	shift  uint // of a key, to get its partition
	chunks *chunkPool
	spill  *spillFile

	mu    sync.Mutex
	parts []partition
}

// A partition is its full chunks, and those that were not full at the end.
type partition struct {
	chunks []fullChunk
	words  int
}

// A fullChunk is in memory, or at a place in the temporary file.
type fullChunk struct {
	words []uint64 // nil for a chunk in the file
	off   int64
	count int
}

const (
	// partitionBytes is about how large a partition is to be: what is looked up in it has to fit the cache of one core.
	partitionBytes = 512 << 10
	// maxPartitions bounds how many there are: each takes a chunk of every worker.
	maxPartitions = 4096
	minPartitions = 16
	// maxResident is how much entries take of the memory before they go to a file, however much is allowed. More
	// would not make a resolve faster where the system can keep the file in its cache, and many resolves run in
	// small containers.
	maxResident = 256 << 20
	minChunk    = 1 << 10
	maxChunk    = 32 << 10
)

// A partitioning says how entries are divided and how much of them stays in memory.
type partitioning struct {
	count   int // of partitions, a power of two
	words   int // of a chunk
	chunks  int // that stay in memory, beside the first of each writer and partition
	writers int
	bytes   int64 // about as many are expected in all
}

// newPartitioning divides about so many bytes of entries, within a part of the limit of memory; 0 is none.
func newPartitioning(limit, bytes int64, writers int) partitioning {
	resident := int64(maxResident)
	if limit > 0 {
		resident = min(resident, limit/4)
	}
	count := minPartitions
	for count < maxPartitions && int64(count)*partitionBytes < bytes {
		count *= 2
	}
	for count > minPartitions && int64(count*writers)*minChunk > resident/2 {
		count /= 2
	}
	size := int64(minChunk)
	for size < maxChunk && 2*size*int64(count*writers) <= resident/2 && 4*size*int64(count*writers) <= bytes {
		size *= 2
	}
	chunks := max(0, int(min(resident, 2*bytes+1<<20)/size)-count*writers)
	return partitioning{count: count, words: int(size / 8), chunks: chunks, writers: writers, bytes: bytes}
}

func newPartitions(how partitioning) *partitions {
	first := how.count * how.writers
	return &partitions{
		shift:  uint(64 - bits.TrailingZeros(uint(how.count))),
		chunks: newChunkPool(how.words, first+how.chunks, first),
		spill:  &spillFile{expected: how.bytes - int64(8*how.words*how.chunks)},
		parts:  make([]partition, how.count),
	}
}

// close gives back all memory and removes the file. Nothing that came from it may be used after that.
func (p *partitions) close() {
	p.chunks.close()
	p.spill.close()
}

// each returns a func that returns the number of a partition that nobody has got yet.
func (p *partitions) each() func() (int, bool) {
	var taken atomic.Int64
	return func() (int, bool) {
		n := int(taken.Add(1)) - 1
		return n, n < len(p.parts)
	}
}

// add adds a chunk that a writer has filled, and returns one for it to go on with: another one, or the same if it was
// written to the file.
func (p *partitions) add(number int, words []uint64, n int) ([]uint64, error) {
	next := p.chunks.another()
	full := fullChunk{words: words, count: n}
	if next == nil {
		var err error
		if full.off, err = p.spill.write(wordBytes(words[:n])); err != nil {
			return nil, err
		}
		full.words, next = nil, words
	}
	p.keep(number, full)
	return next, nil
}

func (p *partitions) keep(number int, full fullChunk) {
	p.mu.Lock()
	defer p.mu.Unlock()
	part := &p.parts[number]
	part.chunks = append(part.chunks, full)
	part.words += full.count
}

// read calls do with the entries of a partition, chunk by chunk; buf is used for those in the file.
func (p *partitions) read(number int, buf *[]uint64, do func(words []uint64)) error {
	for _, c := range p.parts[number].chunks {
		if c.words != nil {
			do(c.words[:c.count])
			continue
		}
		if *buf == nil {
			*buf = make([]uint64, p.chunks.size)
		}
		if err := p.spill.read(wordBytes((*buf)[:c.count]), c.off); err != nil {
			return err
		}
		do((*buf)[:c.count])
	}
	return nil
}

// A partitionWriter is what one goroutine writes entries with.
type partitionWriter struct {
	to   *partitions
	open []openChunk
}

type openChunk struct {
	words []uint64 // nil before the first entry
	used  int
}

func (p *partitions) writer() *partitionWriter {
	return &partitionWriter{to: p, open: make([]openChunk, len(p.parts))}
}

// room returns the place of n words for an entry with a key that begins with these bits.
func (w *partitionWriter) room(key uint64, n int) ([]uint64, error) {
	number := key >> w.to.shift
	c := &w.open[number]
	if c.used+n > len(c.words) {
		if err := w.turn(int(number), n); err != nil {
			return nil, err
		}
	}
	words := c.words[c.used : c.used+n : c.used+n]
	c.used += n
	return words, nil
}

// turn opens the first or the next chunk of a partition, for at least n words.
func (w *partitionWriter) turn(number, n int) error {
	c := &w.open[number]
	switch {
	case n > w.to.chunks.size:
		return fmt.Errorf("%w: versions of %d bytes", errNotKeyed, 8*n)
	case c.words == nil:
		c.words = w.to.chunks.first()
		return nil
	}
	next, err := w.to.add(number, c.words, c.used)
	c.words, c.used = next, 0
	return err
}

// finish hands over the chunks that are not full.
func (w *partitionWriter) finish() error {
	for number, c := range w.open {
		if c.used > 0 {
			w.to.keep(number, fullChunk{words: c.words, count: c.used})
		}
	}
	return nil
}
