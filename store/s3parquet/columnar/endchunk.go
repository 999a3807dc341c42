package columnar

import (
	"slices"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A writtenChunk is the bytes of a chunk and what describes it.
type writtenChunk struct {
	pages  [][]byte
	meta   format.ColumnMetaData
	index  pageIndex
	bounds bounds
}

// endChunk returns the chunk at hand, which is to begin at an offset of the file, and starts the next one.
func (l *leafWriter) endChunk(off int64) (writtenChunk, error) {
	if err := l.endPage(); err != nil {
		return writtenChunk{}, err
	}
	var pages [][]byte
	meta := format.ColumnMetaData{
		Type: l.physical, PathInSchema: l.path, NumValues: l.entries, DataPageOffset: off, Encoding: []format.Encoding{format.RLE},
	}
	if l.dictData > 0 {
		page, err := l.dictionaryPage()
		if err != nil {
			return writtenChunk{}, err
		}
		pages = append(pages, page)
		meta.DictionaryPageOffset = off
		meta.DataPageOffset = off + int64(len(page))
		meta.Encoding = append(meta.Encoding, format.Plain, format.RLEDictionary)
		meta.EncodingStats = append(meta.EncodingStats,
			format.PageEncodingStats{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1},
			format.PageEncodingStats{PageType: format.DataPage, Encoding: format.RLEDictionary, Count: int32(l.dictData)})
	}
	if l.plain > 0 {
		encoding := l.encoding()
		if !slices.Contains(meta.Encoding, encoding) {
			meta.Encoding = append(meta.Encoding, encoding)
		}
		meta.EncodingStats = append(meta.EncodingStats,
			format.PageEncodingStats{PageType: format.DataPage, Encoding: encoding, Count: int32(l.plain)})
	}
	for i := range l.index.offsets.PageLocations {
		l.index.offsets.PageLocations[i].Offset += meta.DataPageOffset
	}
	meta.Codec = l.codec
	meta.TotalCompressedSize = meta.DataPageOffset - off + l.encoded
	meta.TotalUncompressedSize = l.raw
	meta.Statistics = l.chunkStats()
	l.index.columns.BoundaryOrder = l.order()
	out := writtenChunk{append(pages, l.pages...), meta, l.index, l.chunk.clone()}
	l.file.include(&l.chunk, l.compare)
	l.startChunk()
	return out, nil
}

// repeat returns a chunk that another leaf has written, as one of this leaf that begins at an offset of the file.
func (l *leafWriter) repeat(c writtenChunk, off int64) writtenChunk {
	c.meta.PathInSchema = l.path
	by := off - c.meta.DataPageOffset
	if c.meta.DictionaryPageOffset > 0 {
		by = off - c.meta.DictionaryPageOffset
		c.meta.DictionaryPageOffset = off
	}
	c.meta.DataPageOffset += by
	c.index.offsets.PageLocations = slices.Clone(c.index.offsets.PageLocations)
	for i := range c.index.offsets.PageLocations {
		c.index.offsets.PageLocations[i].Offset += by
	}
	l.file.include(&c.bounds, l.compare)
	return c
}

// dictionaryPage encodes the dictionary, which comes first in the chunk although it is known last.
func (l *leafWriter) dictionaryPage() ([]byte, error) {
	l.payload = append(l.payload[:0], l.dict.plain...)
	header := format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
		NumValues: int32(len(l.dict.values)), Encoding: format.Plain,
	})}
	return l.encode(&header)
}

func (l *leafWriter) chunkStats() format.Statistics {
	s := format.Statistics{NullCount: l.chunk.nulls}
	if l.chunk.has && !l.chunk.unordered {
		s.MinValue = slices.Clone(lowerBound(l.t, l.chunk.min))
		s.MaxValue = slices.Clone(upperBound(l.t, l.chunk.max))
	}
	return s
}

// order tells readers whether they can search the pages' bounds by halves.
func (l *leafWriter) order() format.BoundaryOrder {
	c := &l.index.columns
	ascending, descending, last := true, true, -1
	for i, null := range c.NullPages {
		if null {
			continue
		}
		if last >= 0 {
			low, high := l.compare(c.MinValues[i], c.MinValues[last]), l.compare(c.MaxValues[i], c.MaxValues[last])
			ascending = ascending && low >= 0 && high >= 0
			descending = descending && low <= 0 && high <= 0
		}
		last = i
	}
	switch {
	case ascending:
		return format.Ascending
	case descending:
		return format.Descending
	}
	return format.Unordered
}
