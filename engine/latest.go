package engine

import (
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A table is the newest row of each sample of a feature, as far as it was read. It keeps the batches that it was read
// from and finds a row by its position in them; an entry is the number of a row in the order in which samples first
// appear.
type table struct {
	chunks []chunk
	rows   []position
	ids    []int   // of a chunk's keys: those that identify a sample
	index  *index  // entries by ids
	warmed uint64  // see index.warm
	groups *groups // nil unless entries have the versions of their groups
}

// A position is where a row is: the number of its chunk in the upper half, its number there in the lower half. The
// top bit marks rows that say that their sample was deleted, the one below rows that a filter leaves out.
type position uint64

const (
	deletedRow  position = 1 << 63
	filteredRow position = 1 << 62
)

func (p position) chunk() int     { return int(p &^ (deletedRow | filteredRow) >> 32) }
func (p position) row() int       { return int(uint32(p)) }
func (p position) deleted() bool  { return p&deletedRow != 0 }
func (p position) filtered() bool { return p&filteredRow != 0 }

// live reports whether the row stands for a sample.
func (p position) live() bool { return p < filteredRow }

func newTable(ids []int) *table { return &table{ids: ids, index: newIndex(0)} }

// maxReserved bounds the room that is made on the word of a log alone.
const maxReserved = 1 << 24

// reserve makes room for about n rows.
func (t *table) reserve(n int64) {
	n = min(n, maxReserved)
	t.index, t.rows = newIndex(int(n)), make([]position, 0, n)
}

// ref is where the store has an entry's row.
func (t *table) ref(entry uint32) store.RowRef {
	p := t.rows[entry]
	return t.chunks[p.chunk()].batch.Ref(p.row())
}

// text is where the i-th text of an entry is: in its own row, or with those of its group.
func (t *table) text(entry uint32, i int) (*cells, int) {
	if t.groups != nil {
		return t.groups.text(entry, i)
	}
	p := t.rows[entry]
	return &t.chunks[p.chunk()].texts[i], p.row()
}

// addNewest adds a chunk of n rows and keeps, of the rows of one sample, the newest one: by time, then by place.
func (t *table) addNewest(c chunk, n int) error {
	t.chunks = append(t.chunks, c)
	ids := pickColumns(c.keys, t.ids)
	hashes := make([]uint64, 0, blockRows)
	var key []byte
	for from := 0; from < n; from += blockRows {
		hashes = hashes[:0]
		for i := from; i < min(from+blockRows, n); i++ {
			key, _ = appendKey(key[:0], ids, i)
			hashes = append(hashes, xxh3.Hash(key))
		}
		t.warmed += t.index.warm(hashes)
		if err := t.addBlock(ids, from, hashes); err != nil {
			return err
		}
	}
	return nil
}

// addBlock adds the rows of the last chunk from the given one on, which have these hashes.
func (t *table) addBlock(ids []keyColumn, from int, hashes []uint64) error {
	i := from
	same := func(entry uint32) bool { return t.hasIDs(entry, ids, i) }
	for k, hash := range hashes {
		i = from + k
		slot, found := t.index.find(hash, same)
		if found {
			t.replace(t.index.entry(slot), i)
			continue
		}
		if len(t.rows) == maxEntries {
			return fmt.Errorf("%w: more than %d samples", ErrRows, maxEntries)
		}
		t.index.set(slot, hash, uint32(len(t.rows)))
		t.rows = append(t.rows, t.lastChunkRow(i))
	}
	return nil
}

// hasIDs reports whether the ids of an entry are those of row i of the columns.
func (t *table) hasIDs(entry uint32, ids []keyColumn, i int) bool {
	p := t.rows[entry]
	other := t.chunks[p.chunk()].keys
	for k, id := range t.ids {
		if !ids[k].sameCell(i, &other[id], p.row()) {
			return false
		}
	}
	return true
}

// replace makes row i of the last chunk the entry's row if it is newer.
func (t *table) replace(entry uint32, i int) {
	old, last := t.rows[entry], &t.chunks[len(t.chunks)-1]
	was, is := t.chunks[old.chunk()].time(old.row()), last.time(i)
	if is > was || is == was && last.batch.Ref(i) > t.ref(entry) {
		t.rows[entry] = t.lastChunkRow(i)
	}
}

func (t *table) lastChunkRow(i int) position {
	n := len(t.chunks) - 1
	p := position(n)<<32 | position(i)
	if !t.chunks[n].deleted.isNull(i) {
		p |= deletedRow
	}
	if !t.chunks[n].passes.isSet(i) {
		p |= filteredRow
	}
	return p
}

// addAll adds a chunk of n rows, every one of which is an entry.
func (t *table) addAll(c chunk, n int) {
	t.chunks = append(t.chunks, c)
	for i := range n {
		t.rows = append(t.rows, t.lastChunkRow(i))
	}
}

// A lookup finds live entries of a table by some of the key columns.
type lookup struct {
	table   *table
	columns []int // of a chunk's keys
	index   *index
	next    []uint32 // the entry after each one with the same key, plus one; nil if keys are unique
}

// lookupBy prepares a lookup; by a table's ids it costs nothing.
func (t *table) lookupBy(columns []int) *lookup {
	l := &lookup{table: t, columns: columns}
	if slices.Equal(columns, t.ids) && t.index.used == len(t.rows) {
		l.index = t.index
		return l
	}
	l.index, l.next = newIndex(len(t.rows)), make([]uint32, len(t.rows))
	picked := make([][]keyColumn, len(t.chunks))
	for i, c := range t.chunks {
		picked[i] = pickColumns(c.keys, columns)
	}
	var key []byte
	for e, p := range t.rows {
		keys := picked[p.chunk()]
		var null bool
		if key, null = appendKey(key[:0], keys, p.row()); null || !p.live() {
			continue
		}
		hash := xxh3.Hash(key)
		slot, found := l.index.find(hash, func(entry uint32) bool { return l.same(entry, keys, p.row()) })
		if found {
			l.next[e] = l.index.entry(slot) + 1
		}
		l.index.set(slot, hash, uint32(e))
	}
	return l
}

func (l *lookup) same(entry uint32, keys []keyColumn, row int) bool {
	p := l.table.rows[entry]
	other := l.table.chunks[p.chunk()].keys
	for k, c := range l.columns {
		if !keys[k].sameCell(row, &other[c], p.row()) {
			return false
		}
	}
	return true
}

// following returns the next live entry with the key of an entry that was found.
func (l *lookup) following(entry uint32) (uint32, bool) {
	if l.next == nil || l.next[entry] == 0 {
		return 0, false
	}
	return l.next[entry] - 1, true
}
