package store

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// sortByKey sorts rows. Most comparisons are decided by the keys: rows with a smaller key come first, whatever else.
func sortByKey(order []RowAt, key func(RowAt) uint64, compare func(a, b RowAt) int) {
	type keyed struct {
		key uint64
		at  RowAt
	}
	rows := make([]keyed, len(order))
	for i, at := range order {
		rows[i] = keyed{key(at), at}
	}
	slices.SortFunc(rows, func(a, b keyed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return compare(a.at, b.at)
	})
	for i, row := range rows {
		order[i] = row.at
	}
}

// keysOf returns numbers that are in the order of a column's values: of strings, the bytes behind what all begin with. For
// types other than strings all are the same.
func keysOf(parts []arrow.Array) func(RowAt) uint64 {
	texts := make([]*array.String, len(parts))
	for i, p := range parts {
		t, ok := p.(*array.String)
		if !ok {
			return func(RowAt) uint64 { return 0 }
		}
		texts[i] = t
	}
	n := len(commonPrefix(texts))
	return func(at RowAt) uint64 {
		t := texts[at.Batch]
		if t.IsNull(int(at.Row)) {
			return 0
		}
		rest := t.Value(int(at.Row))[n:]
		if len(rest) >= 8 {
			return binary.BigEndian.Uint64([]byte(rest[:8]))
		}
		var padded [8]byte
		copy(padded[:], rest)
		return binary.BigEndian.Uint64(padded[:])
	}
}

// commonPrefix is what all strings begin with, nulls aside.
func commonPrefix(parts []*array.String) string {
	prefix, any := "", false
	for _, p := range parts {
		for i := range p.Len() {
			if p.IsNull(i) {
				continue
			}
			v := p.Value(i)
			if !any {
				prefix, any = v, true
			}
			n := 0
			for n < len(prefix) && n < len(v) && prefix[n] == v[n] {
				n++
			}
			prefix = prefix[:n]
		}
	}
	return prefix
}
