package columnar

import (
	"encoding/binary"
	"math/bits"
)

// appendHybrid encodes levels or indexes of width bits: runs of at least 8 equal values by their length, the others
// bit-packed in groups of 8. It is the inverse of hybrid.
func appendHybrid[T uint8 | uint32](dst []byte, values []T, width uint) []byte {
	packed := 0 // values[packed:i] wait to be bit-packed
	i := 0
	for i < len(values) {
		run := 1
		for i+run < len(values) && values[i+run] == values[i] {
			run++
		}
		if run < 8 {
			i = min(i+8, len(values))
			continue
		}
		dst = appendPacked(dst, values[packed:i], width)
		dst = binary.AppendUvarint(dst, uint64(run)<<1)
		for b := range (width + 7) / 8 {
			dst = append(dst, byte(uint32(values[i])>>(8*b)))
		}
		i += run
		packed = i
	}
	return appendPacked(dst, values[packed:], width)
}

func appendPacked[T uint8 | uint32](dst []byte, values []T, width uint) []byte {
	if len(values) == 0 {
		return dst
	}
	groups := (len(values) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	var word uint64
	have := uint(0)
	for i := range groups * 8 {
		if i < len(values) {
			word |= uint64(values[i]) << have
		}
		for have += width; have >= 8; have -= 8 {
			dst = append(dst, byte(word))
			word >>= 8
		}
	}
	return dst
}

// appendLevels encodes levels as they stand in pages of the first version, after their length.
func appendLevels(dst []byte, levels []uint8, max uint8) []byte {
	if max == 0 {
		return dst
	}
	at := len(dst)
	dst = appendHybrid(append(dst, 0, 0, 0, 0), levels, levelWidth(max))
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// appendIndexes encodes indexes into a dictionary of that many entries, after their width.
func appendIndexes(dst []byte, indexes []uint32, entries int) []byte {
	width := max(1, uint(bits.Len(uint(entries-1))))
	return appendHybrid(append(dst, byte(width)), indexes, width)
}

// appendBits packs booleans that have a byte each.
func appendBits(dst, booleans []byte) []byte {
	at := len(dst)
	for range (len(booleans) + 7) / 8 {
		dst = append(dst, 0)
	}
	for i, b := range booleans {
		dst[at+i/8] |= b << (i % 8)
	}
	return dst
}
