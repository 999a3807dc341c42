package columnar

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
)

// plainDictionary is what old writers call format.RLEDictionary.
const plainDictionary format.Encoding = 2

// A sink collects the values of a leaf into the buffers of an Arrow array, over any number of pages.
type sink interface {
	// dictionary loads the PLAIN values of a dictionary page.
	dictionary(plain []byte, count int) error
	// page starts the values of a page of count entries; src stays valid until the next page.
	page(encoding format.Encoding, src []byte, count int) error
	// append adds the next n values of the page.
	append(n int) error
	// spread adds the next n values of the page, and nulls between them: a value for each level that equals max.
	spread(levels []uint8, max uint8, n int) error
	// nulls adds n nulls.
	nulls(n int)
	// skip passes over the next n values of the page.
	skip(n int) error
	// buffers returns the buffers after the validity bitmap and starts anew.
	buffers() []*memory.Buffer
}

// fixedSink collects values of a fixed width. Booleans are bytes until they are packed at the end.
type fixedSink struct {
	physical format.Type
	srcWidth int // of a PLAIN value; booleans are unpacked to bytes first
	dstWidth int
	convert  func(dst, src []byte) error // nil when source and destination are alike
	bits     bool                        // pack the bytes at the end

	out     []byte
	last    int     // the size of the previous batch, which the next is likely to have
	raw     []byte  // PLAIN values left in the page
	scratch []byte  // where pages of other encodings are rewritten as PLAIN
	dict    []byte  // converted
	entries uint32  // in the dictionary
	indexes *hybrid // of the page, when it has indexes in place of values
	index   []uint32
}

func (s *fixedSink) dictionary(plain []byte, count int) error {
	if count < 0 || s.bits || len(plain) < count*s.srcWidth {
		return corruptf("dictionary claims %d values in %d bytes", count, len(plain))
	}
	var err error
	s.dict, err = s.converted(make([]byte, 0, count*s.dstWidth), plain[:count*s.srcWidth])
	s.entries = uint32(count)
	return err
}

// converted appends values in the destination's form.
func (s *fixedSink) converted(dst, src []byte) ([]byte, error) {
	if s.convert == nil {
		return append(dst, src...), nil
	}
	start := len(dst)
	dst = extend(dst, len(src)/s.srcWidth*s.dstWidth)
	return dst, s.convert(dst[start:], src)
}

// extend lengthens b by n bytes, whose content is arbitrary.
func extend(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b[:len(b)+n]
	}
	longer := make([]byte, len(b)+n, max(2*cap(b), len(b)+n))
	copy(longer, b)
	return longer
}

func (s *fixedSink) page(encoding format.Encoding, src []byte, count int) (err error) {
	s.indexes, s.raw = nil, nil
	switch {
	case encoding == format.RLEDictionary || encoding == plainDictionary:
		s.indexes, err = indexReader(src, s.dict != nil)
	case s.bits && (encoding == format.Plain || encoding == format.RLE):
		s.scratch, err = unpackBooleans(s.scratch[:0], src, encoding, count)
		s.raw = s.scratch
	case encoding == format.Plain:
		s.raw = src
	case encoding == format.DeltaBinaryPacked && (s.physical == format.Int32 || s.physical == format.Int64):
		s.scratch, err = deltaInts(s.scratch[:0], src, count, s.srcWidth)
		s.raw = s.scratch
	case encoding == format.ByteStreamSplit:
		s.scratch, err = joinStreams(s.scratch, src, s.srcWidth)
		s.raw = s.scratch
	default:
		err = unsupportedf("encoding %s of %s values", encoding, s.physical)
	}
	return err
}

// indexReader reads the indexes of a page into the dictionary.
func indexReader(src []byte, haveDictionary bool) (*hybrid, error) {
	if !haveDictionary {
		return nil, corruptf("page refers to a dictionary that is not there")
	}
	if len(src) == 0 {
		return &hybrid{}, nil // a page of nulls
	}
	if src[0] > 32 {
		return nil, corruptf("page has dictionary indexes of %d bits", src[0])
	}
	h := newHybrid(src[1:], uint(src[0]))
	return &h, nil
}

func unpackBooleans(dst, src []byte, encoding format.Encoding, count int) ([]byte, error) {
	if encoding == format.RLE {
		if len(src) < 4 {
			return nil, corruptf("page of booleans has no length")
		}
		dst = extend(dst, 0)
		h := newHybrid(src[4:], 1)
		for len(dst) < count {
			start := len(dst)
			if h.group() != nil {
				return dst, nil // nulls have no values; who asks for more gets an error
			}
			dst = extend(dst, min(count-start, h.repeat+h.left, 1<<16))
			if err := fill(&h, dst[start:]); err != nil {
				return dst[:start], nil
			}
		}
		return dst, nil
	}
	for i := range min(count, len(src)*8) {
		dst = append(dst, src[i>>3]>>(i&7)&1)
	}
	return dst, nil
}

// joinStreams rewrites a BYTE_STREAM_SPLIT page, which has the first bytes of all values, then the second, as PLAIN.
func joinStreams(dst, src []byte, width int) ([]byte, error) {
	if len(src)%width != 0 {
		return nil, corruptf("page of %d bytes does not have whole values of %d", len(src), width)
	}
	dst = grow(dst, len(src))
	n := len(src) / width
	for stream := range width {
		for i, b := range src[stream*n : (stream+1)*n] {
			dst[i*width+stream] = b
		}
	}
	return dst, nil
}

func (s *fixedSink) append(n int) error {
	if s.out == nil {
		s.out = make([]byte, 0, max(s.last, n*s.dstWidth))
	}
	if s.indexes == nil {
		if n > len(s.raw)/s.srcWidth {
			return corruptf("page has fewer values than it claims")
		}
		var err error
		s.out, err = s.converted(s.out, s.raw[:n*s.srcWidth])
		s.raw = s.raw[n*s.srcWidth:]
		return err
	}
	index, err := nextIndexes(s.indexes, &s.index, n, s.entries)
	if err != nil {
		return err
	}
	start := len(s.out)
	s.out = extend(s.out, n*s.dstWidth)
	gather(s.out[start:], s.dict, index, s.dstWidth)
	return nil
}

// nextIndexes decodes n indexes into a dictionary of that many entries.
func nextIndexes(h *hybrid, buf *[]uint32, n int, entries uint32) ([]uint32, error) {
	if cap(*buf) < n {
		*buf = make([]uint32, n)
	}
	index := (*buf)[:n]
	if err := fill(h, index); err != nil {
		return nil, err
	}
	most := uint32(0)
	for _, i := range index {
		most = max(most, i)
	}
	if n > 0 && most >= entries {
		return nil, corruptf("page refers to entry %d of a dictionary of %d", most, entries)
	}
	return index, nil
}

func gather(dst, dict []byte, index []uint32, width int) {
	if width == 8 {
		out, in := arrow.Uint64Traits.CastFromBytes(dst), arrow.Uint64Traits.CastFromBytes(dict)
		for i, x := range index {
			out[i] = in[x]
		}
		return
	}
	for i, x := range index {
		copy(dst[i*width:(i+1)*width], dict[int(x)*width:])
	}
}

func (s *fixedSink) spread(levels []uint8, max uint8, n int) error {
	if err := s.append(n); err != nil {
		return err
	}
	w := s.dstWidth
	start := len(s.out) - n*w
	s.out = extend(s.out, (len(levels)-n)*w)
	slots := s.out[start:]
	from := n
	for to := len(levels) - 1; to >= 0 && to >= from; to-- {
		if levels[to] == max {
			from--
			copy(slots[to*w:(to+1)*w], slots[from*w:(from+1)*w])
		} else {
			clear(slots[to*w : (to+1)*w])
		}
	}
	return nil
}

func (s *fixedSink) nulls(n int) {
	start := len(s.out)
	s.out = extend(s.out, n*s.dstWidth)
	clear(s.out[start:])
}

func (s *fixedSink) skip(n int) error {
	if s.indexes != nil {
		return s.indexes.skip(n)
	}
	if n > len(s.raw)/s.srcWidth {
		return corruptf("page has fewer values than it claims")
	}
	s.raw = s.raw[n*s.srcWidth:]
	return nil
}

func (s *fixedSink) buffers() []*memory.Buffer {
	out := s.out
	s.last, s.out = len(out), nil
	if s.bits {
		packed := make([]byte, bitutil.BytesForBits(int64(len(out))))
		for i, b := range out {
			packed[i>>3] |= b & 1 << (i & 7)
		}
		out = packed
	}
	return []*memory.Buffer{memory.NewBufferBytes(out)}
}

// le reads little-endian integers of up to 8 bytes out of PLAIN values.
func le32(b []byte, i int) int32 { return int32(binary.LittleEndian.Uint32(b[i*4:])) }
func le64(b []byte, i int) int64 { return int64(binary.LittleEndian.Uint64(b[i*8:])) }
