package engine

import "math/bits"

// An index is a hash table from keys to the numbers of entries, which are kept elsewhere. It stores 32 bits of each
// hash to find its place when the table grows and to tell nearly all unequal keys apart; the caller compares the
// rest.
type index struct {
	slots []uint64 // the hash's upper half, then the entry's number plus one; 0 is free
	used  int
	shift uint // of a hash's upper half, to get the slot
}

// blockRows is how many rows are hashed before any of them is looked up.
const blockRows = 256

// warm brings the slots of some hashes into the processor's cache. These loads do not wait for each other, as those
// of one lookup after another would; on big tables that more than halves the time of a lookup. The sum keeps them
// from being optimised away.
func (x *index) warm(hashes []uint64) (sum uint64) {
	slots, shift := x.slots, x.shift&31
	for _, h := range hashes {
		sum += slots[uint32(h>>32)>>shift]
	}
	return sum
}

// maxEntries is how many entries an index, and therefore a table in memory, can have.
const maxEntries = 1<<32 - 2

// newIndex returns an index with room for n entries.
func newIndex(n int) *index {
	size := max(16, 1<<bits.Len(uint(n+n/2)))
	return &index{slots: make([]uint64, size), shift: uint(32 - bits.TrailingZeros(uint(size)))}
}

// find returns the slot of the entry with that hash for which same holds, or the free slot where it belongs.
func (x *index) find(hash uint64, same func(entry uint32) bool) (slot uint32, found bool) {
	tag := hash >> 32
	mask := uint32(len(x.slots) - 1)
	for slot = uint32(tag >> x.shift); ; slot = (slot + 1) & mask {
		switch s := x.slots[slot]; {
		case s == 0:
			return slot, false
		case s>>32 == tag && same(uint32(s)-1):
			return slot, true
		}
	}
}

// entry is the entry in a slot that find has found.
func (x *index) entry(slot uint32) uint32 { return uint32(x.slots[slot]) - 1 }

// set puts an entry into a slot: a free one that find has just returned, or one whose entry it replaces.
func (x *index) set(slot uint32, hash uint64, entry uint32) {
	free := x.slots[slot] == 0
	x.slots[slot] = hash>>32<<32 | uint64(entry+1)
	if !free {
		return
	}
	if x.used++; x.used > len(x.slots)/4*3 {
		x.grow()
	}
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]uint64, 2*len(old))
	x.shift--
	mask := uint32(len(x.slots) - 1)
	for _, s := range old {
		if s == 0 {
			continue
		}
		slot := uint32(s >> 32 >> x.shift)
		for ; x.slots[slot] != 0; slot = (slot + 1) & mask {
		}
		x.slots[slot] = s
	}
}
