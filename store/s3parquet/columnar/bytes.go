package columnar

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
)

// bytesSink collects strings and binary values.
type bytesSink struct {
	width int // of the values in the file when all have the same, else 0

	offsets []int32
	data    []byte
	rows    int // of the previous batch, which the next is likely to have
	bytes   int

	raw         []byte // PLAIN values left in the page, each after its length
	scratch     []byte // where pages of other encodings are rewritten as PLAIN
	dictOffsets []int32
	dict        []byte
	indexes     *hybrid
	index       []uint32
	sought      map[string]uint32 // the entries that were looked up; a value that is not there has notFound
}

const notFound = 1 << 31

func (s *bytesSink) dictionary(plain []byte, count int) (err error) {
	if plain, err = s.prefixed(nil, plain); err != nil {
		return err
	}
	if count < 0 || count > len(plain)/4 {
		return corruptf("dictionary claims %d values in %d bytes", count, len(plain))
	}
	s.sought = nil
	s.dictOffsets = append(make([]int32, 0, count+1), 0)
	s.dict = make([]byte, 0, len(plain)-4*count)
	for range count {
		value, rest, err := cut(plain)
		if err != nil {
			return err
		}
		s.dict = append(s.dict, value...)
		s.dictOffsets = append(s.dictOffsets, int32(len(s.dict)))
		plain = rest
	}
	return nil
}

// longest returns the length of the longest value of the dictionary.
func (s *bytesSink) longest() (n int64) {
	for i := 1; i < len(s.dictOffsets); i++ {
		n = max(n, int64(s.dictOffsets[i]-s.dictOffsets[i-1]))
	}
	return n
}

// cut takes the first PLAIN value off.
func cut(plain []byte) (value, rest []byte, err error) {
	if len(plain) >= 4 {
		if n := int(binary.LittleEndian.Uint32(plain)); n <= len(plain)-4 {
			return plain[4 : 4+n], plain[4+n:], nil
		}
	}
	return nil, nil, corruptf("page ends within a value")
}

// prefixed puts the length before each value if the file's values all have the same and so do not say.
func (s *bytesSink) prefixed(dst, plain []byte) ([]byte, error) {
	if s.width == 0 {
		return plain, nil
	}
	if len(plain)%s.width != 0 {
		return nil, corruptf("page of %d bytes does not have whole values of %d", len(plain), s.width)
	}
	for ; len(plain) > 0; plain = plain[s.width:] {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(s.width))
		dst = append(dst, plain[:s.width]...)
	}
	return dst, nil
}

func (s *bytesSink) page(encoding format.Encoding, src []byte, count int) (err error) {
	s.indexes, s.raw = nil, nil
	switch encoding {
	case format.RLEDictionary, plainDictionary:
		s.indexes, err = indexReader(src, s.dictOffsets != nil)
		return err
	case format.Plain:
		if s.width == 0 {
			s.raw = src
			return nil
		}
		s.scratch, err = s.prefixed(s.scratch[:0], src)
	case format.DeltaLengthByteArray:
		s.scratch, err = deltaLengths(s.scratch[:0], src, count)
	case format.DeltaByteArray:
		s.scratch, err = deltaStrings(s.scratch[:0], src, count)
	case format.ByteStreamSplit:
		if s.width == 0 {
			return unsupportedf("encoding %s of byte arrays", encoding)
		}
		var joined []byte
		if joined, err = joinStreams(nil, src, s.width); err == nil {
			s.scratch, err = s.prefixed(s.scratch[:0], joined)
		}
	default:
		return unsupportedf("encoding %s of byte arrays", encoding)
	}
	s.raw = s.scratch
	return err
}

// reserve makes room as the previous batch needed it.
func (s *bytesSink) reserve() {
	if s.offsets == nil {
		s.offsets = append(make([]int32, 0, s.rows+1), 0)
		s.data = make([]byte, 0, s.bytes+s.bytes/16+shortText)
	}
}

func (s *bytesSink) append(n int) error {
	s.reserve()
	if s.indexes != nil {
		return s.appendIndexed(n)
	}
	raw, data, offsets := s.raw, s.data, s.offsets
	for range n {
		if len(raw) < 4 {
			return corruptf("page has fewer values than it claims")
		}
		size := int(binary.LittleEndian.Uint32(raw))
		if size > len(raw)-4 {
			return corruptf("page ends within a value")
		}
		data = appendShort(data, raw[4:4+size])
		raw = raw[4+size:]
		offsets = append(offsets, int32(len(data)))
	}
	s.raw, s.data, s.offsets = raw, data, offsets
	return s.checkSize()
}

// shortText is how many bytes are copied at once of a short text, whatever its length: that takes less time than to copy just as
// many as it has.
const shortText = 32

// appendShort is append for texts, most of which are short. What lies behind the text in its memory may be copied too, to where
// nothing is yet.
func appendShort(dst, text []byte) []byte {
	if n := len(dst); len(text) <= shortText && cap(text) >= shortText && cap(dst)-n >= shortText {
		*(*[shortText]byte)(dst[n : n+shortText]) = *(*[shortText]byte)(text[:shortText])
		return dst[:n+len(text)]
	}
	return append(dst, text...)
}

func (s *bytesSink) appendIndexed(n int) error {
	for n > 0 { // in parts, so that the check of the size comes in time
		k := min(n, 4096)
		index, err := nextIndexes(s.indexes, &s.index, k, uint32(len(s.dictOffsets)-1))
		if err != nil {
			return err
		}
		if total := int64(len(s.data)) + s.indexedSize(index); total > math.MaxInt32 {
			return tooLarge(len(s.offsets))
		}
		data, offsets := s.data, s.offsets
		for _, x := range index {
			data = appendShort(data, s.dict[s.dictOffsets[x]:s.dictOffsets[x+1]])
			offsets = append(offsets, int32(len(data)))
		}
		s.data, s.offsets = data, offsets
		n -= k
	}
	return nil
}

func (s *bytesSink) indexedSize(index []uint32) int64 {
	total := int64(0)
	for _, x := range index {
		total += int64(s.dictOffsets[x+1] - s.dictOffsets[x])
	}
	return total
}

func (s *bytesSink) checkSize() error {
	if len(s.data) > math.MaxInt32 {
		return tooLarge(len(s.offsets))
	}
	return nil
}

func tooLarge(rows int) error {
	return unsupportedf("%d values have more than 2 GiB; read fewer rows at a time", rows)
}

func (s *bytesSink) spread(levels []uint8, max uint8, n int) error {
	if err := s.append(n); err != nil {
		return err
	}
	start := len(s.offsets) - n
	for range len(levels) - n {
		s.offsets = append(s.offsets, 0)
	}
	ends := s.offsets[start-1:] // ends[0] is where the first value begins, ends[i+1] where value i ends
	from := n
	for to := len(levels); to > from; to-- {
		ends[to] = ends[from]
		if levels[to-1] == max {
			from--
		}
	}
	return nil
}

func (s *bytesSink) nulls(n int) {
	s.reserve()
	end := int32(len(s.data))
	for range n {
		s.offsets = append(s.offsets, end)
	}
}

func (s *bytesSink) skip(n int) error {
	if s.indexes != nil {
		return s.indexes.skip(n)
	}
	for range n {
		_, rest, err := cut(s.raw)
		if err != nil {
			return err
		}
		s.raw = rest
	}
	return nil
}

// match sets keep[i] to whether the next values are equal to want, for n values.
func (s *bytesSink) match(want string, keep []bool) error {
	if s.indexes == nil {
		for i := range keep {
			value, rest, err := cut(s.raw)
			if err != nil {
				return err
			}
			s.raw, keep[i] = rest, string(value) == want
		}
		return nil
	}
	index, err := nextIndexes(s.indexes, &s.index, len(keep), uint32(len(s.dictOffsets)-1))
	if err != nil {
		return err
	}
	at := s.lookup(want)
	for i, x := range index {
		keep[i] = x == at
	}
	return nil
}

// lookup finds a value in the dictionary, and searches each dictionary once.
func (s *bytesSink) lookup(want string) uint32 {
	if at, ok := s.sought[want]; ok {
		return at
	}
	at := uint32(notFound)
	for i := range max(len(s.dictOffsets)-1, 0) {
		if string(s.dict[s.dictOffsets[i]:s.dictOffsets[i+1]]) == want {
			at = uint32(i)
			break
		}
	}
	if s.sought == nil {
		s.sought = make(map[string]uint32)
	}
	s.sought[want] = at
	return at
}

func (s *bytesSink) buffers() []*memory.Buffer {
	s.reserve()
	offsets, data := s.offsets, s.data
	s.rows, s.bytes = len(offsets), len(data)
	s.offsets, s.data = nil, nil
	return []*memory.Buffer{
		memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets)), memory.NewBufferBytes(data),
	}
}
