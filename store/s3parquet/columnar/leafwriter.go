package columnar

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// pageBytes and pageRows bound a page, so that a single row can be had without reading much else.
	pageBytes = 64 << 10
	pageRows  = 20_000
	// dictionaryTrial is after how many values a column has to show that its values repeat.
	dictionaryTrial = 1024
)

// A leafWriter writes the chunks of one leaf column.
type leafWriter struct {
	path           []string
	t              arrow.DataType
	maxDef, maxRep uint8
	physical       format.Type
	width          int // of values of a fixed width, else 0
	compare        func(x, y []byte) int

	// The page at hand.
	rows    int
	defs    []uint8
	reps    []uint8
	values  []byte   // PLAIN
	indexes []uint32 // in place of values while there is a dictionary
	page    bounds

	// The chunk at hand.
	dict     *dictionary // nil when it does not pay
	indexing bool        // the page at hand refers to the dictionary
	pages    [][]byte    // encoded
	encoded  int64       // the size of the pages
	dictData int         // how many of them have indexes
	plain    int         // how many have values
	entries  int64
	first    int64 // the row with which the next page begins
	raw      int64 // the size of the pages before compression
	chunk    bounds
	index    pageIndex

	file    bounds // of the chunks before
	payload []byte
	packed  []byte
	fixed   []byte
}

// A pageIndex describes the pages of a chunk.
type pageIndex struct {
	columns  format.ColumnIndex
	offsets  format.OffsetIndex
	hasStats bool
}

func newLeafWriter(
	e *format.SchemaElement, t arrow.DataType, path []string, def, rep uint8,
) (*leafWriter, error) {
	if err := annotate(e, t); err != nil {
		return nil, err
	}
	l := &leafWriter{path: path, t: t, maxDef: def, maxRep: rep, physical: e.Type.V, compare: comparePlain(t)}
	l.width = plainWidth(t)
	l.startChunk()
	return l, nil
}

func (l *leafWriter) startChunk() {
	l.dict, l.indexing = nil, l.width == 0
	if l.indexing {
		l.dict = newDictionary()
	}
	l.pages, l.encoded, l.dictData, l.plain, l.entries, l.first, l.raw = nil, 0, 0, 0, 0, 0, 0
	l.chunk.reset()
	l.index = pageIndex{hasStats: true}
}

// size is about how many bytes the chunk has.
func (l *leafWriter) size() int64 {
	n := len(l.values) + len(l.indexes) + len(l.defs)/8
	if l.dict != nil {
		n += len(l.dict.plain)
	}
	return l.encoded + int64(n)
}

// append adds entries of an array.
func (l *leafWriter) append(a arrow.Array, e entries) error {
	var get func(i int) []byte
	if l.width == 0 {
		get = bytesOf(a)
	} else {
		l.fixed = plainFixed(a, l.width, l.fixed[:0])
		if e.defs == nil {
			return l.appendFixed(e)
		}
		plain := l.fixed
		get = func(i int) []byte { return plain[i*l.width : (i+1)*l.width] }
	}
	for i := range e.n {
		def, rep, at := e.def, uint8(0), i
		if e.defs != nil {
			def, rep, at = e.defs[i], e.reps[i], int(e.at[i])
		}
		if rep == 0 {
			if l.full() {
				if err := l.endPage(); err != nil {
					return err
				}
			}
			l.rows++
		}
		if l.maxRep > 0 {
			l.reps = append(l.reps, rep)
		}
		l.defs = append(l.defs, def)
		if at < 0 {
			l.page.nulls++
			continue
		}
		if err := l.add(get(at)); err != nil {
			return err
		}
	}
	return nil
}

// bytesOf returns the access to the values of a string or binary array.
func bytesOf(a arrow.Array) func(i int) []byte {
	if s, ok := a.(*array.String); ok {
		offsets, all := s.ValueOffsets(), s.Data().Buffers()[2]
		if all == nil {
			return func(int) []byte { return nil }
		}
		data := all.Bytes()
		return func(i int) []byte { return data[offsets[i]:offsets[i+1]] }
	}
	return a.(*array.Binary).Value
}

// appendFixed adds rows of which none is null.
func (l *leafWriter) appendFixed(e entries) error {
	for at := 0; at < e.n; {
		if l.full() {
			if err := l.endPage(); err != nil {
				return err
			}
		}
		n := min(e.n-at, pageRows-l.rows, max(1, (pageBytes-len(l.values))/l.width))
		l.values = append(l.values, l.fixed[at*l.width:(at+n)*l.width]...)
		start := len(l.defs)
		l.defs = extend(l.defs, n)
		for i := range l.defs[start:] {
			l.defs[start+i] = e.def
		}
		l.rows += n
		at += n
	}
	return nil
}

func (l *leafWriter) full() bool {
	return l.rows >= pageRows || len(l.values) >= pageBytes || len(l.defs) >= 16*pageRows ||
		l.indexing && len(l.dict.plain) >= maxDictionary
}

// add adds one value.
func (l *leafWriter) add(v []byte) error {
	if l.width > 0 {
		l.values = append(l.values, v...)
		return nil
	}
	if len(v) > 1<<30 {
		return fmt.Errorf("a value has %d bytes; at most 1 GiB can be written", len(v))
	}
	changed := true
	if l.indexing {
		var at uint32
		at, changed = l.dict.add(v)
		if l.indexes = append(l.indexes, at); len(l.indexes) == dictionaryTrial {
			l.tryDictionary()
		}
	} else {
		l.values = appendPlain(l.values, v)
	}
	if changed || !l.page.has {
		l.observe(v)
	}
	return nil
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

// endPage encodes the page at hand, if it has entries.
func (l *leafWriter) endPage() error {
	if len(l.defs) == 0 {
		return nil
	}
	l.tryDictionary()
	l.payload = appendLevels(l.payload[:0], l.reps, l.maxRep)
	l.payload = appendLevels(l.payload, l.defs, l.maxDef)
	encoding := format.Plain
	switch {
	case len(l.indexes) > 0:
		encoding = format.RLEDictionary
		l.payload = appendIndexes(l.payload, l.indexes, len(l.dict.values))
		l.dictData++
	case l.physical == format.Boolean:
		l.payload = appendBits(l.payload, l.values)
		l.plain++
	default:
		l.payload = append(l.payload, l.values...)
		l.plain++
	}
	header := format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: int32(len(l.defs)), Encoding: encoding,
		DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		Statistics: format.Statistics{NullCount: l.page.nulls},
	})}
	page, err := l.encode(&header)
	if err != nil {
		return err
	}
	l.index.offsets.PageLocations = append(l.index.offsets.PageLocations, format.PageLocation{
		Offset: l.encoded, CompressedPageSize: int32(len(page)), FirstRowIndex: l.first,
	})
	l.pages = append(l.pages, page)
	l.encoded += int64(len(page))
	l.endPageStats()
	l.first += int64(l.rows)
	l.entries += int64(len(l.defs))
	l.indexing = l.indexing && len(l.dict.plain) < maxDictionary
	l.rows, l.defs, l.reps, l.values, l.indexes = 0, l.defs[:0], l.reps[:0], l.values[:0], l.indexes[:0]
	return nil
}

// tryDictionary gives the dictionary up if the values of the first page, or its beginning, show that it does not pay.
func (l *leafWriter) tryDictionary() {
	if l.dictData == 0 && len(l.indexes) >= 16 && len(l.dict.values) > len(l.indexes)/2 {
		l.values = l.dict.expand(l.values[:0], l.indexes)
		l.dict, l.indexing, l.indexes = nil, false, l.indexes[:0]
	}
}

// encode compresses the payload and returns it after its header.
func (l *leafWriter) encode(header *format.PageHeader) ([]byte, error) {
	l.packed = s2.EncodeSnappy(l.packed[:cap(l.packed)], l.payload)
	header.UncompressedPageSize = int32(len(l.payload))
	header.CompressedPageSize = int32(len(l.packed))
	header.CRC = int32(crc32.ChecksumIEEE(l.packed))
	b, err := encodeThrift(*header)
	if err != nil {
		return nil, fmt.Errorf("write page header: %w", err)
	}
	l.raw += int64(len(b) + len(l.payload))
	return slices.Concat(b, l.packed), nil
}

func (l *leafWriter) endPageStats() {
	if l.width > 0 {
		nulls := l.page.nulls
		l.page = boundsOf(l.t, l.values, l.width)
		l.page.nulls = nulls
	}
	c := &l.index.columns
	c.NullPages = append(c.NullPages, !l.page.has)
	c.MinValues = append(c.MinValues, slices.Clone(l.plainBound(lowerBound(l.t, l.page.min), l.page.has)))
	c.MaxValues = append(c.MaxValues, slices.Clone(l.plainBound(upperBound(l.t, l.page.max), l.page.has)))
	c.NullCounts = append(c.NullCounts, l.page.nulls)
	if l.page.unordered {
		l.index.hasStats = false
	}
	l.chunk.include(&l.page, l.compare)
	l.page.reset()
}

// plainBound is the form in which a bound is written; a page without values has empty ones.
func (l *leafWriter) plainBound(v []byte, has bool) []byte {
	if !has || v == nil {
		return []byte{}
	}
	return v
}
