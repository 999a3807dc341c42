package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// An entry is what remains of a row: words in a partition.
//
//	0, 1   a hash of 128 bits of the row's key, by a seed of its own for each resolve
//	2      the place: which row of which table, the number of its time, and flags
//	3      the digest of a version: the stored one of a row of the target; of a row that alone makes a sample, the
//	       expected one. Of a row that makes a sample together with others, how many bytes the versions have
//	       that it gives; these follow (see appendValues), filled up to whole words. Where nothing is stored, which of
//	       them are null, and nothing follows.
//
// Two keys of one hash would be taken for one sample. Among 10^8 samples that happens once in 10^22 resolves, and, the
// seed being random, nobody can choose ids for it.
const (
	entryWords = 4
	entryBytes = 8 * entryWords
)

// A place says where an entry's row is and what matters of it. Rows of a table are numbered as they are read.
type place uint64

// The parts of a place, from the lowest bit on.
const (
	ordinalBits = 34 // 17 billion rows of a table
	timeBits    = 20 // a million times; rows that were written together have one
	tableBits   = 6

	maxTables = 1<<tableBits - 1

	goneRow        place = 1 << 60 // it says that its sample was deleted, or a filter leaves it out
	flaggedRow     place = 1 << 61 // a condition of staleness holds
	unversionedRow place = 1 << 62 // it has, or makes, no version
	keylessRow     place = 1 << 63 // a null in the key: it relates to nothing

	noPlace = ^place(0) // no row; the number of its table is out of range
)

func makePlace(table int, ordinal uint64, time uint32) place {
	return place(ordinal) | place(time)<<ordinalBits | place(table)<<(ordinalBits+timeBits)
}

func (p place) ordinal() uint64 { return uint64(p) & (1<<ordinalBits - 1) }
func (p place) time() uint32    { return uint32(p>>ordinalBits) & (1<<timeBits - 1) }
func (p place) table() int      { return int(p>>(ordinalBits+timeBits)) & (1<<tableBits - 1) }
func (p place) live() bool      { return p&goneRow == 0 }

// A timeIndex numbers the times that occur in a table. It may be asked for those that have a number while others get one.
type timeIndex struct {
	mu      sync.Mutex
	numbers map[int64]uint32
	times   atomic.Pointer[[]int64] // nil for none; what is in it stays
}

// at is the time that has a number.
func (t *timeIndex) at(number uint32) int64 { return (*t.times.Load())[number] }

func (t *timeIndex) number(time int64) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.numbers[time]
	if ok {
		return n, nil
	}
	var times []int64
	if known := t.times.Load(); known != nil {
		times = *known
	}
	if len(times) == 1<<timeBits {
		return 0, fmt.Errorf("%w: more than %d different times", errNotKeyed, len(times))
	}
	if t.numbers == nil {
		t.numbers = make(map[int64]uint32)
	}
	n = uint32(len(times))
	t.numbers[time] = n
	times = append(times, time)
	t.times.Store(&times)
	return n, nil
}

// newSeed is for hashes that nobody outside of this process can foresee.
func newSeed() uint64 { return rand.Uint64() }
