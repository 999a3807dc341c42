package columnar

import (
	"errors"
	"hash/crc32"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

// maxHeader bounds a page header; its statistics may have two values of any length.
const maxHeader = 16 << 20

// pages steps over the pages of a chunk.
type pages struct {
	chunk *chunk
	in    *input
	index []format.PageLocation // nil: the pages are read one after another

	off       int64 // of the next page in the file
	next      int   // its position in the index, once the dictionary is read
	entries   int64 // in the pages before it; not known with an index
	header    format.PageHeader
	headerLen int // 0 when the next page's header is not read yet
}

func newPages(c *chunk, in *input, index []format.PageLocation) *pages {
	return &pages{chunk: c, in: in, index: index, off: c.start}
}

// peek reads the header of the next page, and returns false at the end of the chunk.
func (p *pages) peek() (bool, error) {
	if p.headerLen > 0 {
		return true, nil
	}
	if p.done() {
		return false, nil
	}
	for n := 256; ; n *= 8 {
		b, err := p.in.at(p.off, int(min(int64(n), p.chunk.end-p.off)))
		if err != nil {
			return false, err
		}
		b = b[:min(int64(len(b)), p.chunk.end-p.off)]
		p.header = format.PageHeader{}
		p.headerLen, err = decodeThrift(b, &p.header)
		if err == nil {
			return true, p.check()
		}
		if !errors.Is(err, errTruncated) || len(b) < n || n > maxHeader {
			return false, corruptf("column %q: read page header at byte %d: %w", p.chunk.node.path(), p.off, err)
		}
	}
}

func (p *pages) done() bool {
	if p.index != nil {
		return p.next >= len(p.index)
	}
	return p.entries >= p.chunk.meta.MetaData.NumValues
}

func (p *pages) check() error {
	h := &p.header
	path := p.chunk.node.path()
	if h.CompressedPageSize < 0 || h.UncompressedPageSize < 0 ||
		int64(h.CompressedPageSize) > p.chunk.end-p.off-int64(p.headerLen) {
		return corruptf("column %q: page at byte %d claims %d bytes", path, p.off, h.CompressedPageSize)
	}
	if err := p.checkSize(); err != nil {
		return err
	}
	switch {
	case h.Type == format.DataPage && h.DataPageHeader.Valid, h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid, h.Type == format.IndexPage:
		return nil
	default:
		return corruptf("column %q: page at byte %d has type %s and another's header", path, p.off, h.Type)
	}
	if n := p.count(); n < 0 || int64(n) > p.chunk.meta.MetaData.NumValues-p.entries {
		return corruptf("column %q: page at byte %d claims %d values", path, p.off, n)
	}
	return nil
}

// checkSize refuses a page that does not fit memory, and one that is larger than all pages together are said to be.
func (p *pages) checkSize() error {
	size, all := int64(p.header.UncompressedPageSize), p.chunk.meta.MetaData.TotalUncompressedSize
	switch most := p.chunk.maxPage; {
	case max(size, int64(p.header.CompressedPageSize)) > most:
		return unsupportedf("column %q: page at byte %d has %d bytes when unpacked, which may be %d here: write smaller pages, or read it "+
			"with more memory", p.chunk.node.path(), p.off, size, most)
	case size > max(all, 1<<20):
		return corruptf("column %q: page at byte %d claims %d bytes, and all pages together %d", p.chunk.node.path(), p.off, size, all)
	}
	return nil
}

// count is the number of entries of the data page whose header was read.
func (p *pages) count() int {
	if p.header.Type == format.DataPageV2 {
		return int(p.header.DataPageHeaderV2.V.NumValues)
	}
	return int(p.header.DataPageHeader.V.NumValues)
}

func (p *pages) isData() bool {
	return p.header.Type == format.DataPage || p.header.Type == format.DataPageV2
}

// payload returns the compressed bytes of the page whose header was read, and goes on to the next page.
func (p *pages) payload() ([]byte, error) {
	size := int(p.header.CompressedPageSize)
	off := p.off + int64(p.headerLen)
	b, err := p.in.at(off, size)
	if err != nil {
		return nil, err
	}
	if len(b) < size {
		return nil, corruptf("column %q: page at byte %d is not whole", p.chunk.node.path(), p.off)
	}
	b = b[:size]
	if p.header.CRC != 0 && uint32(p.header.CRC) != crc32.ChecksumIEEE(b) {
		return nil, corruptf("column %q: page at byte %d does not match its checksum", p.chunk.node.path(), p.off)
	}
	p.discard()
	return b, nil
}

// discard goes on to the next page without reading this one.
func (p *pages) discard() {
	p.off += int64(p.headerLen) + int64(p.header.CompressedPageSize)
	p.headerLen = 0
	if !p.isData() {
		if p.index != nil {
			p.off = p.index[0].Offset
		}
		return
	}
	if p.index == nil {
		p.entries += int64(p.count())
		return
	}
	p.next++
	if p.next < len(p.index) {
		p.off = p.index[p.next].Offset
	}
}

// seek goes to the page with a row, if there is an index, and returns that page's first row. It goes only forward.
func (p *pages) seek(row int64) int64 {
	at, found := slices.BinarySearchFunc(p.index, row, func(l format.PageLocation, row int64) int {
		return int(min(max(l.FirstRowIndex-row, -1), 1))
	})
	if !found {
		at--
	}
	if at > p.next || at == p.next && p.off != p.index[at].Offset {
		p.next, p.off, p.headerLen = at, p.index[at].Offset, 0
	}
	return p.index[p.next].FirstRowIndex
}
