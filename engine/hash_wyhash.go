package engine

import (
	"encoding/binary"
	"math/bits"
)

// The secrets of wyhash's first stable revision.
const (
	wyP0 uint64 = 0xa0761d6478bd642f
	wyP1 uint64 = 0xe7037ed1a0b428db
	wyP2 uint64 = 0x8ebc6af09c88c6e3
	wyP3 uint64 = 0x589965cc75374cc3
	wyP4 uint64 = 0x1d8e4e27c47d124f
	wyP5 uint64 = 0xeb44accab455d165
)

// wyhash is the first stable revision of wyhash with seed 0. The later revisions (final3, final4) give other values.
func wyhash(p []byte) uint64 {
	n := uint64(len(p))
	var s uint64
	for ; len(p) >= 32; p = p[32:] {
		s = wyMix(s^wyP0, wyMix(wyRead(p)^wyP1, wyRead(p[8:])^wyP2)^wyMix(wyRead(p[16:])^wyP3, wyRead(p[24:])^wyP4))
	}
	s ^= wyP0
	switch r := len(p); {
	case r == 0:
	case r <= 8:
		s = wyMix(s, wyTail(p)^wyP1)
	case r <= 16:
		s = wyMix(wySwapped(p)^s, wyTail(p[8:])^wyP2)
	case r <= 24:
		s = wyMix(wySwapped(p)^s, wySwapped(p[8:])^wyP2) ^ wyMix(s, wyTail(p[16:])^wyP3)
	default:
		s = wyMix(wySwapped(p)^s, wySwapped(p[8:])^wyP2) ^ wyMix(wySwapped(p[16:])^s, wyTail(p[24:])^wyP4)
	}
	return wyMix(s, n^wyP5)
}

// wyMix folds the 128-bit product of a and b into 64 bits.
func wyMix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func wyRead(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// wySwapped reads eight bytes with the first four as the upper half.
func wySwapped(p []byte) uint64 { return bits.RotateLeft64(binary.LittleEndian.Uint64(p), 32) }

// wyTail reads the one to eight bytes that a block ends with.
func wyTail(p []byte) uint64 {
	switch n := len(p); n {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 3:
		return uint64(binary.LittleEndian.Uint16(p))<<8 | uint64(p[2])
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	default:
		return uint64(binary.LittleEndian.Uint32(p))<<(8*(n-4)) | wyTail(p[4:])
	}
}
