package engine

import (
	"encoding/binary"
	"unsafe"
)

// appendValues adds the versions that a row gives: each as its length plus one, 0 for null, and its bytes.
func appendValues(dst []byte, texts []cells, row int) []byte {
	for k := range texts {
		c := &texts[k]
		switch {
		case c.isNull(row):
			dst = append(dst, 0)
		case c.fixed != nil:
			var buf [20]byte
			text := c.appendText(buf[:0], row)
			dst = append(binary.AppendUvarint(dst, uint64(len(text))+1), text...)
		default:
			v := c.value(row)
			dst = append(binary.AppendUvarint(dst, uint64(len(v))+1), v...)
		}
	}
	return dst
}

// shortValue is the length from which on the length of a version takes more than a byte.
const shortValue = 0x7f

// shortValues is how many bytes appendValues adds, if all versions are short texts.
func shortValues(texts []cells, row int) (int, bool) {
	n := len(texts)
	for k := range texts {
		c := &texts[k]
		switch {
		case c.fixed != nil:
			return 0, false
		case c.isNull(row):
			continue
		}
		size := int(c.offsets[row+1] - c.offsets[row])
		if size >= shortValue {
			return 0, false
		}
		n += size
	}
	return n, true
}

// putShortValues writes what appendValues adds to the beginning of dst.
func putShortValues(dst []byte, texts []cells, row int) {
	for k := range texts {
		c := &texts[k]
		if c.isNull(row) {
			dst[0] = 0
			dst = dst[1:]
			continue
		}
		v := c.value(row)
		dst[0] = byte(len(v) + 1)
		dst = dst[1+copy(dst[1:], v):]
	}
}

// splitValues is the reverse of appendValues.
func splitValues(values [][]byte, src []byte) {
	for k := range values {
		n, size := binary.Uvarint(src)
		if src = src[size:]; n == 0 {
			values[k] = nil
			continue
		}
		values[k] = src[: n-1 : n-1]
		src = src[n-1:]
	}
}

// wordBytes is the memory of words.
func wordBytes(words []uint64) []byte {
	if len(words) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))
}
