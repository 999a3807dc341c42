package columnar

import (
	"encoding/binary"
	"math/bits"
)

// hybrid decodes the mixture of run-length and bit-packed groups in which levels and dictionary indexes are stored.
type hybrid struct {
	src    []byte // what follows the current group
	width  uint
	repeat int    // values left of a run
	value  uint32 // the run's value
	packed []byte // the current bit-packed group
	bit    int    // position in packed of the next value
	left   int    // values left of the bit-packed group
}

func newHybrid(src []byte, width uint) hybrid { return hybrid{src: src, width: width} }

// levelWidth is the number of bits of levels up to max.
func levelWidth(max uint8) uint { return uint(bits.Len8(max)) }

// group starts the next group if the current one is used up.
func (h *hybrid) group() error {
	for h.repeat == 0 && h.left == 0 {
		head, n := binary.Uvarint(h.src)
		if n <= 0 {
			return corruptf("page has fewer levels or indexes than values")
		}
		h.src = h.src[n:]
		count := head >> 1
		if count > 1<<31 {
			return corruptf("page has a run of %d values", count)
		}
		if head&1 == 1 {
			size := min(int(count)*int(h.width), len(h.src))
			h.packed, h.src = h.src[:size], h.src[size:]
			h.bit, h.left = 0, int(count)*8
			continue
		}
		size := int(h.width+7) / 8
		if size > len(h.src) {
			return corruptf("page ends within a run")
		}
		h.value = 0
		for i := range size {
			h.value |= uint32(h.src[i]) << (8 * i)
		}
		h.src, h.repeat = h.src[size:], int(count)
	}
	return nil
}

// run returns how many of the next n values are sure to be equal, and consumes them; 0 when it cannot say.
func (h *hybrid) run(n int) (uint32, int, error) {
	if err := h.group(); err != nil {
		return 0, 0, err
	}
	n = min(n, h.repeat)
	h.repeat -= n
	return h.value, n, nil
}

// fill decodes the next len(dst) values.
func fill[T uint8 | uint32](h *hybrid, dst []T) error {
	for len(dst) > 0 {
		if err := h.group(); err != nil {
			return err
		}
		var n int
		if h.repeat > 0 {
			n = min(len(dst), h.repeat)
			for i := range dst[:n] {
				dst[i] = T(h.value)
			}
			h.repeat -= n
		} else {
			n = min(len(dst), h.left)
			if h.bit+n*int(h.width) > len(h.packed)*8 {
				return corruptf("page ends within a bit-packed group")
			}
			unpack(dst[:n], h.packed, h.bit, h.width)
			h.bit += n * int(h.width)
			h.left -= n
		}
		dst = dst[n:]
	}
	return nil
}

// skip passes over n values.
func (h *hybrid) skip(n int) error {
	for n > 0 {
		if err := h.group(); err != nil {
			return err
		}
		k := min(n, max(h.repeat, h.left))
		if h.repeat > 0 {
			h.repeat -= k
		} else {
			h.bit += k * int(h.width)
			h.left -= k
		}
		n -= k
	}
	return nil
}

// unpack reads values of width bits, least significant first, from a bit position on. All of them lie within src.
func unpack[T uint8 | uint32](dst []T, src []byte, bit int, width uint) {
	mask := uint64(1)<<width - 1
	for i := range dst {
		p := bit >> 3
		var word uint64
		if p+8 <= len(src) {
			word = binary.LittleEndian.Uint64(src[p:])
		} else {
			for j, b := range src[min(p, len(src)):] {
				word |= uint64(b) << (8 * j)
			}
		}
		dst[i] = T(word >> (bit & 7) & mask)
		bit += int(width)
	}
}
