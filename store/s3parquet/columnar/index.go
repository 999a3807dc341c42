package columnar

import (
	"bytes"

	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"
)

// A rowRange is rows of a row group.
type rowRange struct{ start, end int64 }

func (r rowRange) len() int64 { return r.end - r.start }

// readIndexes reads several parts of the file that describe pages, in as few reads as is sensible.
func (f *File) readIndexes(spans []span) ([][]byte, error) {
	out := make([][]byte, len(spans))
	var missing []span
	for i, s := range spans {
		var ok bool
		if out[i], ok = f.r.known(s); !ok {
			missing = append(missing, s)
		}
	}
	merged := mergeSpans(missing, mergeSize)
	var g errgroup.Group
	for _, b := range merged {
		b.keep = keepEnd
		g.Go(func() error {
			_, err := b.load(f.r)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for i, s := range spans {
		for _, b := range merged {
			if out[i] == nil && s.off >= b.off && s.end <= b.end {
				out[i] = b.data[s.off-b.off : s.end-b.off]
			}
		}
	}
	return out, nil
}

// checkedSpan is the place of an index, which has to lie in the file.
func (f *File) checkedSpan(c *chunk, off int64, length int32) (span, error) {
	if off < int64(len(magic)) || length <= 0 || int64(length) > f.size-off {
		return span{}, corruptf("column %q: index claims bytes %d to %d of a file of %d",
			c.node.path(), off, off+int64(length), f.size)
	}
	return span{off, off + int64(length)}, nil
}

// offsetIndexes reads the page locations of chunks; nil for those that have none.
func (f *File) offsetIndexes(chunks []*chunk) ([][]format.PageLocation, error) {
	out := make([][]format.PageLocation, len(chunks))
	var spans []span
	var which []int
	for i, c := range chunks {
		if c.meta.OffsetIndexLength == 0 {
			continue
		}
		s, err := f.checkedSpan(c, c.meta.OffsetIndexOffset, c.meta.OffsetIndexLength)
		if err != nil {
			return nil, err
		}
		spans, which = append(spans, s), append(which, i)
	}
	parts, err := f.readIndexes(spans)
	if err != nil {
		return nil, err
	}
	for j, i := range which {
		if out[i], err = decodeLocations(chunks[i], parts[j]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decodeLocations decodes the offset index of a chunk.
func decodeLocations(c *chunk, data []byte) ([]format.PageLocation, error) {
	var index format.OffsetIndex
	if _, err := decodeThrift(data, &index); err != nil {
		return nil, corruptf("column %q: read offset index: %w", c.node.path(), err)
	}
	return index.PageLocations, checkLocations(c, index.PageLocations)
}

func checkLocations(c *chunk, index []format.PageLocation) error {
	off, row := c.start, int64(-1)
	for i, l := range index {
		if l.Offset < off || l.CompressedPageSize <= 0 || int64(l.CompressedPageSize) > c.end-l.Offset ||
			l.FirstRowIndex <= row || l.FirstRowIndex >= c.rows || i == 0 && l.FirstRowIndex != 0 {
			return corruptf("column %q: offset index names page %d at byte %d with row %d",
				c.node.path(), i, l.Offset, l.FirstRowIndex)
		}
		off, row = l.Offset+int64(l.CompressedPageSize), l.FirstRowIndex
	}
	if len(index) == 0 && c.rows > 0 {
		return corruptf("column %q: offset index is empty", c.node.path())
	}
	return nil
}

// lastRow is the end of the rows of a page.
func lastRow(c *chunk, index []format.PageLocation, page int) int64 {
	if page+1 < len(index) {
		return index[page+1].FirstRowIndex
	}
	return c.rows
}

// pageSpans returns where the dictionary and the pages that hold the rows lie in the file.
func pageSpans(c *chunk, index []format.PageLocation, ranges []rowRange) []span {
	spans := make([]span, 0, len(ranges)+1)
	if c.start < index[0].Offset {
		spans = append(spans, span{c.start, index[0].Offset})
	}
	for i, l := range index {
		for len(ranges) > 0 && ranges[0].end <= l.FirstRowIndex {
			ranges = ranges[1:]
		}
		if len(ranges) == 0 || ranges[0].start >= lastRow(c, index, i) {
			continue
		}
		end := l.Offset + int64(l.CompressedPageSize)
		if n := len(spans); n > 0 && spans[n-1].end == l.Offset {
			spans[n-1].end = end
		} else {
			spans = append(spans, span{l.Offset, end})
		}
	}
	return spans
}

// A chunkIndex is what a file says of the pages of a chunk.
type chunkIndex struct {
	stats     format.ColumnIndex
	locations []format.PageLocation
}

// pageIndexOf reads the index of a chunk; nil if there is none.
func (f *File) pageIndexOf(c *chunk) (*chunkIndex, error) {
	if c.meta.ColumnIndexLength == 0 || c.meta.OffsetIndexLength == 0 {
		return nil, nil
	}
	bounds, err := f.checkedSpan(c, c.meta.ColumnIndexOffset, c.meta.ColumnIndexLength)
	if err != nil {
		return nil, err
	}
	places, err := f.checkedSpan(c, c.meta.OffsetIndexOffset, c.meta.OffsetIndexLength)
	if err != nil {
		return nil, err
	}
	parts, err := f.readIndexes([]span{bounds, places})
	if err != nil {
		return nil, err
	}
	out := &chunkIndex{}
	if _, err := decodeThrift(parts[0], &out.stats); err != nil {
		return nil, corruptf("column %q: read column index: %w", c.node.path(), err)
	}
	if out.locations, err = decodeLocations(c, parts[1]); err != nil {
		return nil, err
	}
	n, counts := len(out.locations), len(out.stats.NullCounts)
	if len(out.stats.NullPages) != n || len(out.stats.MinValues) != n || len(out.stats.MaxValues) != n || counts != 0 && counts != n {
		return nil, corruptf("column %q: column index has %d pages, offset index %d",
			c.node.path(), len(out.stats.NullPages), n)
	}
	return out, nil
}

// pages returns the rows of the pages that are wanted.
func (x *chunkIndex) pages(c *chunk, wanted func(page int) bool) (ranges []rowRange) {
	for i, l := range x.locations {
		if !wanted(i) {
			continue
		}
		end := lastRow(c, x.locations, i)
		if n := len(ranges); n > 0 && ranges[n-1].end == l.FirstRowIndex {
			ranges[n-1].end = end
		} else {
			ranges = append(ranges, rowRange{l.FirstRowIndex, end})
		}
	}
	return ranges
}

// matchingPages returns the rows of the pages that can hold a value, by their statistics; ok is false if there are
// none to tell.
func (f *File) matchingPages(c *chunk, value string) (ranges []rowRange, ok bool, err error) {
	index, err := f.pageIndexOf(c)
	if index == nil || err != nil {
		return nil, false, err
	}
	return index.pages(c, func(page int) bool {
		return !index.stats.NullPages[page] && bytes.Compare(index.stats.MinValues[page], []byte(value)) <= 0 &&
			bytes.Compare(index.stats.MaxValues[page], []byte(value)) >= 0
	}), true, nil
}

// intersect returns the rows that are in both; each is in ascending order.
func intersect(a, b []rowRange) []rowRange {
	var out []rowRange
	for len(a) > 0 && len(b) > 0 {
		r := rowRange{max(a[0].start, b[0].start), min(a[0].end, b[0].end)}
		if r.start < r.end {
			out = append(out, r)
		}
		if a[0].end < b[0].end {
			a = a[1:]
		} else {
			b = b[1:]
		}
	}
	return out
}

func countRows(ranges []rowRange) int64 {
	n := int64(0)
	for _, r := range ranges {
		n += r.len()
	}
	return n
}
