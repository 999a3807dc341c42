package columnar

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go/encoding/delta"
)

// maxText is how long a value may be that is written.
const maxText = 1 << 30

// texts are the values of a string or binary array.
type texts struct {
	offsets []int32
	data    []byte
}

func textsIn(a arrow.Array) (texts, error) {
	var t texts
	switch a := a.(type) {
	case *array.String:
		t.offsets = a.ValueOffsets()
	case *array.Binary:
		t.offsets = a.ValueOffsets()
	}
	if b := a.Data().Buffers()[2]; b != nil {
		t.data = b.Bytes()
	}
	if a.Len() == 0 || t.offsets[a.Len()]-t.offsets[0] <= maxText {
		return t, nil
	}
	for i := range a.Len() {
		if n := t.offsets[i+1] - t.offsets[i]; n > maxText {
			return texts{}, fmt.Errorf("a value has %d bytes; at most 1 GiB can be written", n)
		}
	}
	return t, nil
}

func (t texts) at(i int) []byte { return t.data[t.offsets[i]:t.offsets[i+1]] }

// appendTexts adds rows of which none is null.
func (l *leafWriter) appendTexts(t texts, e entries) error {
	for at := 0; at < e.n; {
		if l.full() {
			if err := l.endPage(); err != nil {
				return err
			}
		}
		n := min(e.n-at, pageRows-l.rows)
		switch {
		case l.indexing:
			n = l.addIndexes(t, at, n)
		case l.byLength:
			n = l.addTexts(t, at, n)
			l.observeTexts(t, at, n)
		default:
			n = l.addPlain(t, at, n)
			l.observeTexts(t, at, n)
		}
		l.addRows(n, e.def)
		at += n
	}
	return nil
}

// addIndexes adds up to n values as indexes into the dictionary, and returns how many: it stops where the dictionary is
// full or turns out not to pay.
func (l *leafWriter) addIndexes(t texts, at, n int) int {
	for i := range n {
		if !l.indexing || len(l.dict.plain) >= maxDictionary {
			return i
		}
		l.addIndex(t.at(at + i))
	}
	return n
}

// addIndex adds a value as an index into the dictionary.
func (l *leafWriter) addIndex(v []byte) {
	index, changed := l.dict.add(v)
	if changed || !l.page.has {
		l.observe(v)
	}
	if l.indexes = append(l.indexes, index); len(l.indexes) == dictionaryTrial {
		l.tryDictionary()
	}
}

// tryDictionary gives the dictionary up if the values of the first page, or its beginning, show that it does not pay.
func (l *leafWriter) tryDictionary() {
	if l.dictData > 0 || len(l.indexes) < 16 || len(l.dict.values) <= len(l.indexes)/2 {
		return
	}
	values, indexes := l.dict.values, l.indexes
	l.dict, l.indexing, l.indexes = nil, false, l.indexes[:0]
	for _, i := range indexes {
		l.addText([]byte(values[i]))
	}
}

// addText adds one value.
func (l *leafWriter) addText(v []byte) {
	if !l.byLength {
		l.values = appendPlain(l.values, v)
		return
	}
	l.lengths = append(l.lengths, int32(len(v)))
	l.values = append(l.values, v...)
}

// addPlain adds up to n values each after its length, and returns how many the page has room for.
func (l *leafWriter) addPlain(t texts, at, n int) int {
	values := l.values
	for i := range n {
		if len(values) >= pageBytes {
			n = i
			break
		}
		v := t.data[t.offsets[at+i]:t.offsets[at+i+1]]
		values = binary.LittleEndian.AppendUint32(values, uint32(len(v)))
		values = append(values, v...)
	}
	l.values = values
	return n
}

// addTexts adds up to n values, all in one piece, and returns how many the page has room for.
func (l *leafWriter) addTexts(t texts, at, n int) int {
	start, room := t.offsets[at], int32(pageBytes-len(l.values))
	last := start
	for i, end := range t.offsets[at+1 : at+n+1] {
		if last-start >= room {
			n = i
			break
		}
		l.lengths = append(l.lengths, end-last)
		last = end
	}
	l.values = append(l.values, t.data[start:last]...)
	return n
}

// appendLengths encodes the lengths of the page's texts.
func (l *leafWriter) appendLengths() error {
	var err error
	l.packed, err = new(delta.BinaryPackedEncoding).EncodeInt32(l.packed[:0], l.lengths)
	l.payload = append(l.payload, l.packed...)
	return err
}

// observe widens the bounds of the page.
func (l *leafWriter) observe(v []byte) {
	if !l.page.has {
		l.page.has = true
		l.page.min, l.page.max = append(l.page.min[:0], v...), append(l.page.max[:0], v...)
		return
	}
	if bytes.Compare(v, l.page.max) > 0 {
		l.page.max = append(l.page.max[:0], v...)
	} else if bytes.Compare(v, l.page.min) < 0 {
		l.page.min = append(l.page.min[:0], v...)
	}
}

// observeTexts is observe for n values. Most are told apart by their first eight bytes.
func (l *leafWriter) observeTexts(t texts, at, n int) {
	if n == 0 {
		return
	}
	l.observe(t.at(at))
	low, high := l.page.min, l.page.max
	lowest, highest := leading(low), leading(high)
	for i := at + 1; i < at+n; i++ {
		v := t.at(i)
		switch first := leading(v); {
		case first >= highest && bytes.Compare(v, high) > 0:
			high, highest = v, first
		case first <= lowest && bytes.Compare(v, low) < 0:
			low, lowest = v, first
		}
	}
	l.page.min, l.page.max = append(l.page.min[:0], low...), append(l.page.max[:0], high...)
}

// leading is the first eight bytes of a value as a number, with zeros for those that it lacks: of two values, the one
// with the greater number is the greater.
func leading(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	var n uint64
	for i, b := range v {
		n |= uint64(b) << (56 - 8*i)
	}
	return n
}
