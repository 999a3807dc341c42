package store

import (
	"encoding/binary"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// A keyed row has a key by which most comparisons are decided: rows with a smaller one come first, whatever else.
type keyed struct {
	key uint64
	at  RowAt
}

// sortByKey sorts rows, first by their keys and then those of one key by comparison.
func sortByKey(order []RowAt, key func(RowAt) uint64, compare func(a, b RowAt) int) {
	rows := make([]keyed, len(order))
	for i, at := range order {
		rows[i] = keyed{key(at), at}
	}
	rows = byDigits(rows)
	for i := 0; i < len(rows); {
		end := i + 1
		for end < len(rows) && rows[end].key == rows[i].key {
			end++
		}
		if end > i+1 {
			slices.SortFunc(rows[i:end], func(a, b keyed) int { return compare(a.at, b.at) })
		}
		i = end
	}
	for i, row := range rows {
		order[i] = row.at
	}
}

// byDigits sorts rows by their keys, one byte of these after the other, the last one first. Bytes that are the same in all
// keys are passed over.
func byDigits(rows []keyed) []keyed {
	all, any := ^uint64(0), uint64(0)
	for _, r := range rows {
		all, any = all&r.key, any|r.key
	}
	other := make([]keyed, len(rows))
	for shift := 0; shift < 64; shift += 8 {
		if (all^any)>>shift&0xFF == 0 {
			continue
		}
		var ends [256]int
		for _, r := range rows {
			ends[r.key>>shift&0xFF]++
		}
		sum := 0
		for d, n := range ends {
			ends[d], sum = sum, sum+n
		}
		for _, r := range rows {
			d := r.key >> shift & 0xFF
			other[ends[d]] = r
			ends[d]++
		}
		rows, other = other, rows
	}
	return rows
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
