package engine

import (
	"encoding/binary"
	"math/bits"
)

// digitPairs are the numbers below 100 as two digits each.
var digitPairs = func() (pairs [100]uint16) {
	for i := range pairs {
		pairs[i] = uint16('0'+i/10) | uint16('0'+i%10)<<8
	}
	return pairs
}()

// powersOfTen are the least numbers with one digit more than their place here.
var powersOfTen = func() (powers [20]uint64) {
	p := uint64(1)
	for i := range powers {
		powers[i] = p
		p *= 10
	}
	powers[0] = 0
	return powers
}()

// appendDecimal adds a number in decimal. Unlike strconv.AppendUint it has no branch that depends on how many digits there
// are, which of hashes nobody can predict.
func appendDecimal(dst []byte, v uint64) []byte {
	var digits [24]byte // right-aligned
	if v>>32 == 0 {
		high := uint32(v) / 1e8
		binary.LittleEndian.PutUint16(digits[14:], digitPairs[high])
		putEight(digits[16:], uint32(v)-high*1e8)
	} else {
		high := v / 1e16
		middle := v/1e8 - high*1e8
		putEight(digits[0:], uint32(high))
		putEight(digits[8:], uint32(middle))
		putEight(digits[16:], uint32(v-(high*1e8+middle)*1e8))
	}
	tens := bits.Len64(v|1) * 1233 >> 12 // the number of digits, or one less
	count := tens + 1 - int((v-powersOfTen[tens])>>63)
	return append(dst, digits[len(digits)-count:]...)
}

// putEight writes a number below 10^8 with all zeros before it.
func putEight(dst []byte, v uint32) {
	high, low := v/10_000, v%10_000
	_ = dst[7]
	binary.LittleEndian.PutUint16(dst[0:], digitPairs[high/100])
	binary.LittleEndian.PutUint16(dst[2:], digitPairs[high%100])
	binary.LittleEndian.PutUint16(dst[4:], digitPairs[low/100])
	binary.LittleEndian.PutUint16(dst[6:], digitPairs[low%100])
}
