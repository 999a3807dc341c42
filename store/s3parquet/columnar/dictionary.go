package columnar

import (
	"bytes"
	"encoding/binary"
)

// maxDictionary is the size of a dictionary up to which it can pay.
const maxDictionary = 1 << 20

// A dictionary numbers the distinct values of a chunk in the order in which they come.
type dictionary struct {
	index  map[string]uint32
	values []string
	plain  []byte // the values as they are written
	last   []byte // the value that came last, which often comes again
	lastAt uint32
}

func newDictionary() *dictionary { return &dictionary{index: make(map[string]uint32)} }

// add returns the number of a value, and whether it differs from the one before.
func (d *dictionary) add(v []byte) (at uint32, changed bool) {
	if len(d.values) > 0 && bytes.Equal(v, d.last) {
		return d.lastAt, false
	}
	at, ok := d.index[string(v)]
	if !ok {
		at = uint32(len(d.values))
		s := string(v)
		d.index[s] = at
		d.values = append(d.values, s)
		d.plain = appendPlain(d.plain, v)
	}
	d.last, d.lastAt = append(d.last[:0], v...), at
	return at, true
}

func appendPlain(dst, v []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(v))), v...)
}
