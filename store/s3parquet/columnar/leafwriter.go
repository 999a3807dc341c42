package columnar

import (
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
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
	// leastGain is the part of a page, one of so many, that compression has to save.
	leastGain = 16
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
	values  []byte   // PLAIN, or texts without their lengths
	lengths []int32  // of the texts; see byLength
	indexes []uint32 // in place of values while there is a dictionary
	page    bounds

	byLength bool // texts are written as DELTA_LENGTH_BYTE_ARRAY where there is no dictionary

	// The chunk at hand.
	codec    format.CompressionCodec
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
	spare   [][]byte // pages that were written, whose memory is used again
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
	l.codec = format.Snappy
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
		texts, err := textsIn(a)
		if err != nil {
			return err
		}
		if e.defs == nil {
			return l.appendTexts(texts, e)
		}
		get = texts.at
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
		l.addRows(n, e.def)
		at += n
	}
	return nil
}

// addRows counts n rows of one level, whose values are in the page.
func (l *leafWriter) addRows(n int, def uint8) {
	start := len(l.defs)
	l.defs = extend(l.defs, n)
	for i := range l.defs[start:] {
		l.defs[start+i] = def
	}
	l.rows += n
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
	if l.indexing {
		l.addIndex(v)
		return nil
	}
	l.addText(v)
	l.observe(v)
	return nil
}

// endPage encodes the page at hand, if it has entries.
func (l *leafWriter) endPage() error {
	if len(l.defs) == 0 {
		return nil
	}
	l.tryDictionary()
	l.payload = appendLevels(l.payload[:0], l.reps, l.maxRep)
	l.payload = appendLevels(l.payload, l.defs, l.maxDef)
	encoding := l.encoding()
	switch {
	case len(l.indexes) > 0:
		encoding = format.RLEDictionary
		l.payload = appendIndexes(l.payload, l.indexes, len(l.dict.values))
		l.dictData++
	case l.physical == format.Boolean:
		l.payload = appendBits(l.payload, l.values)
		l.plain++
	case encoding == format.DeltaLengthByteArray:
		if err := l.appendLengths(); err != nil {
			return err
		}
		l.payload = append(l.payload, l.values...)
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
	l.rows, l.defs, l.reps, l.values, l.lengths, l.indexes = 0, l.defs[:0], l.reps[:0], l.values[:0], l.lengths[:0], l.indexes[:0]
	return nil
}

// encoding is that of pages without a dictionary.
func (l *leafWriter) encoding() format.Encoding {
	if l.byLength {
		return format.DeltaLengthByteArray
	}
	return format.Plain
}

// encode returns the payload after its header, compressed unless a full first page of the chunk shows that this does not
// pay.
func (l *leafWriter) encode(header *format.PageHeader) ([]byte, error) {
	body := l.payload
	if l.codec == format.Snappy {
		l.packed = s2.EncodeSnappy(l.packed[:cap(l.packed)], l.payload)
		first := len(l.pages) == 0 && l.dict == nil && len(l.payload) >= pageBytes/2
		if first && len(l.packed) > len(l.payload)/leastGain*(leastGain-1) {
			l.codec = format.Uncompressed
		} else {
			body = l.packed
		}
	}
	header.UncompressedPageSize = int32(len(l.payload))
	header.CompressedPageSize = int32(len(body))
	header.CRC = int32(crc32.ChecksumIEEE(body))
	b, err := encodeThrift(*header)
	if err != nil {
		return nil, fmt.Errorf("write page header: %w", err)
	}
	l.raw += int64(len(b) + len(l.payload))
	return append(append(l.sparePage(), b...), body...), nil
}

// sparePage is memory for a page.
func (l *leafWriter) sparePage() []byte {
	if n := len(l.spare); n > 0 {
		page := l.spare[n-1]
		l.spare = l.spare[:n-1]
		return page[:0]
	}
	return nil
}

// recycle takes pages back that were written.
func (l *leafWriter) recycle(pages [][]byte) {
	for _, p := range pages {
		if cap(p) <= 2*pageBytes {
			l.spare = append(l.spare, p)
		}
	}
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
