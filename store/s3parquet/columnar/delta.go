package columnar

import (
	"encoding/binary"
	"math"
)

// maxPageValues bounds what the delta encodings, which can say much in few bytes, may expand a page to.
const maxPageValues = 1 << 30

// deltaReader decodes a DELTA_BINARY_PACKED sequence.
type deltaReader struct {
	src []byte
}

// ints decodes one sequence of at most limit integers.
func (d *deltaReader) ints(limit int) ([]int64, error) {
	blockSize, e1 := d.uvarint()
	miniblocks, e2 := d.uvarint()
	total, e3 := d.uvarint()
	first, e4 := d.varint()
	switch {
	case e1 != nil || e2 != nil || e3 != nil || e4 != nil:
		return nil, corruptf("delta-encoded page has no header")
	case blockSize == 0 || blockSize > 1<<20 || miniblocks == 0 || blockSize%miniblocks != 0 || blockSize/miniblocks%8 != 0:
		return nil, corruptf("delta-encoded page has blocks of %d values in %d parts", blockSize, miniblocks)
	case total > uint64(limit):
		return nil, corruptf("delta-encoded page claims %d values, of %d", total, limit)
	case total == 0:
		return nil, nil
	}
	out := make([]int64, 1, min(total, 1<<16))
	out[0] = first
	for len(out) < int(total) {
		var err error
		if out, err = d.block(out, int(total), int(miniblocks), int(blockSize/miniblocks)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (d *deltaReader) block(out []int64, total, miniblocks, size int) ([]int64, error) {
	least, err := d.varint()
	if err != nil || len(d.src) < miniblocks {
		return nil, corruptf("delta-encoded page ends within a block")
	}
	widths := d.src[:miniblocks]
	d.src = d.src[miniblocks:]
	for _, width := range widths {
		if len(out) == total {
			break // the widths of unused parts are arbitrary, and the parts are not stored
		}
		if width > 64 {
			return nil, corruptf("delta-encoded page has values of %d bits", width)
		}
		n := min(size, total-len(out))
		bytes := size * int(width) / 8
		have := d.src[:min(bytes, len(d.src))]
		if n*int(width) > len(have)*8 {
			return nil, corruptf("delta-encoded page ends within a block")
		}
		last := out[len(out)-1]
		for i := range n {
			last += least + int64(bitsAt(have, i*int(width), uint(width)))
			out = append(out, last)
		}
		d.src = d.src[len(have):]
	}
	return out, nil
}

// bitsAt returns the width bits (up to 64) from a bit position on.
func bitsAt(src []byte, bit int, width uint) uint64 {
	if width == 0 {
		return 0
	}
	p, shift := bit>>3, uint(bit&7)
	var word [9]byte
	copy(word[:], src[p:])
	v := binary.LittleEndian.Uint64(word[:]) >> shift
	if shift > 0 {
		v |= uint64(word[8]) << (64 - shift)
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v
}

func (d *deltaReader) uvarint() (uint64, error) {
	v, n := binary.Uvarint(d.src)
	if n <= 0 {
		return 0, errTruncated
	}
	d.src = d.src[n:]
	return v, nil
}

func (d *deltaReader) varint() (int64, error) {
	v, n := binary.Varint(d.src)
	if n <= 0 {
		return 0, errTruncated
	}
	d.src = d.src[n:]
	return v, nil
}

// deltaInts rewrites a DELTA_BINARY_PACKED page as PLAIN integers of 4 or 8 bytes.
func deltaInts(dst, src []byte, limit, width int) ([]byte, error) {
	d := deltaReader{src: src}
	values, err := d.ints(limit)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if width == 4 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
		} else {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
		}
	}
	return dst, nil
}

// deltaLengths rewrites a DELTA_LENGTH_BYTE_ARRAY page as PLAIN byte arrays.
func deltaLengths(dst, src []byte, limit int) ([]byte, error) {
	d := deltaReader{src: src}
	lengths, err := d.ints(limit)
	if err != nil {
		return nil, err
	}
	for _, n := range lengths {
		if n < 0 || n > int64(len(d.src)) {
			return nil, corruptf("delta-encoded page claims a value of %d bytes, of %d", n, len(d.src))
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
		dst = append(dst, d.src[:n]...)
		d.src = d.src[n:]
	}
	return dst, nil
}

// deltaStrings rewrites a DELTA_BYTE_ARRAY page, where values share prefixes with those before, as PLAIN byte arrays.
func deltaStrings(dst, src []byte, limit int) ([]byte, error) {
	d := deltaReader{src: src}
	prefixes, err := d.ints(limit)
	if err != nil {
		return nil, err
	}
	suffixes, err := d.ints(limit)
	if err != nil {
		return nil, err
	}
	if len(prefixes) != len(suffixes) {
		return nil, corruptf("delta-encoded page has %d prefixes and %d suffixes", len(prefixes), len(suffixes))
	}
	last, lastLen := 0, int64(0) // where in dst the last value lies
	for i, prefix := range prefixes {
		suffix := suffixes[i]
		if prefix < 0 || prefix > lastLen || suffix < 0 || suffix > int64(len(d.src)) || prefix+suffix > math.MaxInt32 {
			return nil, corruptf("delta-encoded page claims a value of %d and %d bytes", prefix, suffix)
		}
		if int64(len(dst))+prefix+suffix > maxPageValues {
			return nil, unsupportedf("page has more than %d bytes of values", maxPageValues)
		}
		dst = binary.LittleEndian.AppendUint32(dst, uint32(prefix+suffix))
		start := len(dst)
		dst = append(dst, dst[last:last+int(prefix)]...)
		dst = append(dst, d.src[:suffix]...)
		d.src = d.src[suffix:]
		last, lastLen = start, prefix+suffix
	}
	return dst, nil
}
