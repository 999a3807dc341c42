package engine

import (
	"encoding/binary"
	"math/bits"
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

// valuesSize is how many bytes appendValues adds.
func valuesSize(texts []cells, row int) int {
	n := 0
	for k := range texts {
		c := &texts[k]
		size := 0
		switch {
		case c.isNull(row):
			n++
			continue
		case c.fixed != nil:
			var buf [20]byte
			size = len(c.appendText(buf[:0], row))
		default:
			size = int(c.offsets[row+1] - c.offsets[row])
		}
		n += (bits.Len(uint(size)+1)+6)/7 + size
	}
	return n
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
