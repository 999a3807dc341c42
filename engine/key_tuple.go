package engine

import "github.com/zeebo/xxh3"

// A tupleKey reads key columns of tuples and looks for them in a table.
type tupleKey struct {
	tables  []*table
	columns []frameKey
	buf     []byte
	warmed  uint64 // see index.warm
}

// cell is where the value of a key column of a tuple is; nil if the tuple has no row of any source that has it.
func (k *tupleKey) cell(column int, tuple []uint32) (*keyColumn, int) {
	for _, from := range k.columns[column].from {
		if e := tuple[from.source]; e != none {
			t := k.tables[from.source]
			p := t.rows[e]
			return &t.chunks[p.chunk()].keys[from.key], p.row()
		}
	}
	return nil, 0
}

// hash returns the hash of the tuple's key. A null in the key relates to nothing; for it there is none.
func (k *tupleKey) hash(tuple []uint32) (uint64, bool) {
	k.buf = k.buf[:0]
	for c := range k.columns {
		column, row := k.cell(c, tuple)
		if column == nil || column.isNull(row) {
			return 0, false
		}
		k.buf, _ = column.appendCell(k.buf, row)
	}
	return xxh3.Hash(k.buf), true
}

// find returns the first live entry with the tuple's key.
func (k *tupleKey) find(tuple []uint32, l *lookup) (uint32, bool) {
	hash, ok := k.hash(tuple)
	if !ok {
		return none, false
	}
	return k.findHash(tuple, hash, l)
}

func (k *tupleKey) findHash(tuple []uint32, hash uint64, l *lookup) (uint32, bool) {
	slot, found := l.index.find(hash, func(entry uint32) bool { return k.matches(tuple, entry, l) })
	if !found {
		return none, false
	}
	entry := l.index.entry(slot)
	return entry, l.table.rows[entry].live()
}

// matches reports whether an entry has the tuple's key.
func (k *tupleKey) matches(tuple []uint32, entry uint32, l *lookup) bool {
	p := l.table.rows[entry]
	keys := l.table.chunks[p.chunk()].keys
	for c := range k.columns {
		if column, row := k.cell(c, tuple); !column.sameCell(row, &keys[l.columns[c]], p.row()) {
			return false
		}
	}
	return true
}

// findEach calls do with the number of each tuple and what find returns for it.
func (k *tupleKey) findEach(t *tuples, from, to int, l *lookup, do func(i int, entry uint32, found bool)) {
	var hashes [blockRows]uint64
	var keyed [blockRows]bool
	for ; from < to; from += blockRows {
		n := min(blockRows, to-from)
		for i := range n {
			hashes[i], keyed[i] = k.hash(t.at(from + i))
		}
		k.warmed += l.index.warm(hashes[:n])
		for i := range n {
			entry, found := none, false
			if keyed[i] {
				entry, found = k.findHash(t.at(from+i), hashes[i], l)
			}
			do(from+i, entry, found)
		}
	}
}
