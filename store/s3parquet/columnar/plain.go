package columnar

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// plainWidth is the width of a value of a type of fixed width as it is written; booleans have one byte until they
// are packed.
func plainWidth(t arrow.DataType) int {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return 1
	case *arrow.Decimal128Type:
		switch {
		case t.Precision <= 9:
			return 4
		case t.Precision <= 18:
			return 8
		}
		return int(decimalWidth(t.Precision))
	case *arrow.Int8Type, *arrow.Int16Type:
		return 4
	case arrow.FixedWidthDataType:
		return t.BitWidth() / 8
	}
	return 0
}

// plainFixed returns the values of an array of fixed width as they are written, in the memory of buf unless the array
// has them so already.
func plainFixed(a arrow.Array, width int, buf []byte) []byte {
	n := a.Len()
	switch a := a.(type) {
	case *array.Boolean:
		buf = grow(buf[:0], n)
		for i := range n {
			buf[i] = 0
			if a.Value(i) {
				buf[i] = 1
			}
		}
		return buf
	case *array.Int8:
		buf = grow(buf[:0], n*4)
		for i, v := range a.Int8Values() {
			binary.LittleEndian.PutUint32(buf[i*4:], uint32(int32(v)))
		}
		return buf
	case *array.Int16:
		buf = grow(buf[:0], n*4)
		for i, v := range a.Int16Values() {
			binary.LittleEndian.PutUint32(buf[i*4:], uint32(int32(v)))
		}
		return buf
	case *array.Decimal128:
		return plainDecimal(a, width, buf)
	}
	if n == 0 {
		return nil
	}
	d := a.Data()
	return d.Buffers()[1].Bytes()[d.Offset()*width : (d.Offset()+n)*width]
}

func plainDecimal(a *array.Decimal128, width int, buf []byte) []byte {
	buf = grow(buf[:0], a.Len()*width)
	for i := range a.Len() {
		v, out := a.Value(i), buf[i*width:(i+1)*width]
		switch width {
		case 4:
			binary.LittleEndian.PutUint32(out, uint32(v.LowBits()))
		case 8:
			binary.LittleEndian.PutUint64(out, v.LowBits())
		default:
			var all [16]byte
			binary.BigEndian.PutUint64(all[:], uint64(v.HighBits()))
			binary.BigEndian.PutUint64(all[8:], v.LowBits())
			copy(out, all[16-width:])
		}
	}
	return buf
}

// comparePlain returns the order of PLAIN values of a type.
func comparePlain(t arrow.DataType) func(x, y []byte) int {
	switch t.ID() {
	case arrow.STRING, arrow.BINARY, arrow.BOOL:
		return bytes.Compare
	case arrow.FLOAT32:
		return func(x, y []byte) int { return cmp.Compare(float32At(x), float32At(y)) }
	case arrow.FLOAT64:
		return func(x, y []byte) int { return cmp.Compare(float64At(x), float64At(y)) }
	}
	switch plainWidth(t) {
	case 4:
		return func(x, y []byte) int { return cmp.Compare(le32(x, 0), le32(y, 0)) }
	case 8:
		return func(x, y []byte) int { return cmp.Compare(le64(x, 0), le64(y, 0)) }
	}
	return func(x, y []byte) int { // two's complement, most significant byte first
		if c := cmp.Compare(int8(x[0]), int8(y[0])); c != 0 {
			return c
		}
		return bytes.Compare(x[1:], y[1:])
	}
}

func float32At(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
func float64At(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }

// boundsOf finds the bounds of the PLAIN values of a page.
func boundsOf(t arrow.DataType, plain []byte, width int) bounds {
	n := len(plain) / width
	if n == 0 {
		return bounds{}
	}
	least, most, unordered := 0, 0, false
	switch {
	case t.ID() == arrow.FLOAT32:
		least, most, unordered = floatBounds(n, func(i int) float64 { return float64(float32At(plain[i*4:])) })
	case t.ID() == arrow.FLOAT64:
		least, most, unordered = floatBounds(n, func(i int) float64 { return float64At(plain[i*8:]) })
	case width == 8:
		for i := range n {
			if v := le64(plain, i); v < le64(plain, least) {
				least = i
			} else if v > le64(plain, most) {
				most = i
			}
		}
	default:
		compare := comparePlain(t)
		at := func(i int) []byte { return plain[i*width : (i+1)*width] }
		for i := range n {
			if compare(at(i), at(least)) < 0 {
				least = i
			} else if compare(at(i), at(most)) > 0 {
				most = i
			}
		}
	}
	b := bounds{has: true, unordered: unordered}
	b.min = append(b.min, plain[least*width:(least+1)*width]...)
	b.max = append(b.max, plain[most*width:(most+1)*width]...)
	signZero(t, &b)
	return b
}

func floatBounds(n int, at func(int) float64) (least, most int, unordered bool) {
	for i := range n {
		v := at(i)
		if math.IsNaN(v) {
			return 0, 0, true
		}
		if v < at(least) {
			least = i
		} else if v > at(most) {
			most = i
		}
	}
	return least, most, false
}

// signZero makes a least zero negative and a greatest one positive, so that the bounds hold for both zeros.
func signZero(t arrow.DataType, b *bounds) {
	sign := 0
	switch t.ID() {
	case arrow.FLOAT32:
		sign = 3
		if float32At(b.min) == 0 {
			b.min[sign] = 0x80
		}
		if float32At(b.max) == 0 {
			b.max[sign] = 0
		}
	case arrow.FLOAT64:
		sign = 7
		if float64At(b.min) == 0 {
			b.min[sign] = 0x80
		}
		if float64At(b.max) == 0 {
			b.max[sign] = 0
		}
	}
}
