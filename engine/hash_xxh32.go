package engine

import (
	"encoding/binary"
	"math/bits"
)

// The primes of XXH32, as its specification names them.
const (
	xxh32Prime1 uint32 = 0x9e3779b1
	xxh32Prime2 uint32 = 0x85ebca77
	xxh32Prime3 uint32 = 0xc2b2ae3d
	xxh32Prime4 uint32 = 0x27d4eb2f
	xxh32Prime5 uint32 = 0x165667b1
)

// xxh32 is XXH32 with seed 0.
func xxh32(p []byte) uint32 {
	n := uint32(len(p)) // the specification takes the length modulo 2^32
	var h uint32
	if len(p) >= 16 {
		h, p = xxh32Stripes(p)
	} else {
		h = xxh32Prime5
	}
	h += n
	for ; len(p) >= 4; p = p[4:] {
		h = bits.RotateLeft32(h+binary.LittleEndian.Uint32(p)*xxh32Prime3, 17) * xxh32Prime4
	}
	for _, b := range p {
		h = bits.RotateLeft32(h+uint32(b)*xxh32Prime5, 11) * xxh32Prime1
	}
	h = (h ^ h>>15) * xxh32Prime2
	h = (h ^ h>>13) * xxh32Prime3
	return h ^ h>>16
}

// xxh32Stripes consumes the stripes of 16 bytes at the start of p and returns the merged lanes and the rest.
func xxh32Stripes(p []byte) (uint32, []byte) {
	prime1 := xxh32Prime1 // a variable, since the constants' sum and difference overflow
	v1, v2, v3, v4 := prime1+xxh32Prime2, xxh32Prime2, uint32(0), -prime1
	for ; len(p) >= 16; p = p[16:] {
		v1 = xxh32Round(v1, binary.LittleEndian.Uint32(p))
		v2 = xxh32Round(v2, binary.LittleEndian.Uint32(p[4:]))
		v3 = xxh32Round(v3, binary.LittleEndian.Uint32(p[8:]))
		v4 = xxh32Round(v4, binary.LittleEndian.Uint32(p[12:]))
	}
	return bits.RotateLeft32(v1, 1) + bits.RotateLeft32(v2, 7) + bits.RotateLeft32(v3, 12) + bits.RotateLeft32(v4, 18), p
}

func xxh32Round(lane, input uint32) uint32 {
	return bits.RotateLeft32(lane+input*xxh32Prime2, 13) * xxh32Prime1
}
