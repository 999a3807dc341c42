package columnar

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/float16"
	"github.com/parquet-go/parquet-go/format"
)

// newSink returns the sink that collects a leaf's values as an Arrow type, or an error that says that the two do not
// agree.
func newSink(n *node, t arrow.DataType) (sink, error) {
	e := n.elem
	s := &fixedSink{physical: e.Type.V}
	ok := false
	switch e.Type.V {
	case format.Boolean:
		s.srcWidth, s.dstWidth, s.bits = 1, 1, true
		ok = t.ID() == arrow.BOOL
	case format.Int32:
		s.srcWidth = 4
		s.dstWidth, s.convert, ok = fromInt32(e, t)
	case format.Int64:
		s.srcWidth = 8
		s.dstWidth, s.convert, ok = fromInt64(e, t)
	case format.Int96:
		s.srcWidth, s.dstWidth, s.convert = 12, 8, int96ToMicros
		ok = t.ID() == arrow.TIMESTAMP
	case format.Float:
		s.srcWidth, s.dstWidth = 4, 4
		ok = t.ID() == arrow.FLOAT32
		if t.ID() == arrow.FLOAT64 {
			s.dstWidth, s.convert, ok = 8, floatToDouble, true
		}
	case format.Double:
		s.srcWidth, s.dstWidth = 8, 8
		ok = t.ID() == arrow.FLOAT64
	case format.ByteArray:
		if t.ID() == arrow.STRING || t.ID() == arrow.BINARY {
			return &bytesSink{}, nil
		}
	case format.FixedLenByteArray:
		if t.ID() == arrow.BINARY {
			return &bytesSink{width: int(e.TypeLength.V)}, nil
		}
		s.srcWidth = int(e.TypeLength.V)
		s.dstWidth, s.convert, ok = fromFixed(e, t)
	}
	if !ok {
		return nil, mismatch(n, t)
	}
	return s, nil
}

func mismatch(n *node, t arrow.DataType) error {
	kind := "a group"
	if n.leaf >= 0 {
		kind = n.elem.Type.V.String()
		if l := n.elem.LogicalType.String(); l != "" {
			kind += " (" + l + ")"
		}
	}
	return corruptf("column %q is %s in the file, and %s in the table", n.path(), kind, t)
}

type converter = func(dst, src []byte) error

func fromInt32(e *format.SchemaElement, t arrow.DataType) (int, converter, bool) {
	_, scale, isDecimal := decimalOf(e)
	_, signed := intOf(e, 32)
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		return 16, int32ToDecimal, isDecimal && scale == t.Scale
	case *arrow.Date32Type:
		return 4, nil, isDate(e)
	case *arrow.Int8Type:
		return 1, int32ToInt8, !isDecimal && !isDate(e)
	case *arrow.Int16Type:
		return 2, int32ToInt16, !isDecimal && !isDate(e)
	case *arrow.Int32Type:
		return 4, nil, !isDecimal && !isDate(e)
	case *arrow.Int64Type:
		if !signed {
			return 8, uint32ToInt64, true
		}
		return 8, int32ToInt64, !isDecimal && !isDate(e)
	case *arrow.Float64Type:
		return 8, int32ToDouble, signed && !isDecimal && !isDate(e)
	}
	return 0, nil, false
}

func fromInt64(e *format.SchemaElement, t arrow.DataType) (int, converter, bool) {
	_, scale, isDecimal := decimalOf(e)
	perSecond, _, isTime := timestampOf(e)
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		return 16, int64ToDecimal, isDecimal && scale == t.Scale
	case *arrow.TimestampType:
		switch perSecond {
		case 1e3:
			return 8, millisToMicros, isTime
		case 1e9:
			return 8, nanosToMicros, isTime
		}
		return 8, nil, isTime
	case *arrow.Int64Type:
		if _, signed := intOf(e, 64); !signed {
			return 8, uint64ToInt64, true
		}
		return 8, nil, !isDecimal && !isTime
	}
	return 0, nil, false
}

func fromFixed(e *format.SchemaElement, t arrow.DataType) (int, converter, bool) {
	width := int(e.TypeLength.V)
	switch t := t.(type) {
	case *arrow.Decimal128Type:
		_, scale, isDecimal := decimalOf(e)
		return 16, func(dst, src []byte) error { return bigEndianToDecimal(dst, src, width) },
			isDecimal && scale == t.Scale
	case *arrow.Float32Type:
		return 4, halfToFloat, isFloat16(e)
	}
	return 0, nil, false
}

func outOfRange(v any, what string) error { return corruptf("value %v is not %s", v, what) }

func int32ToInt8(dst, src []byte) error {
	for i := range dst {
		v := le32(src, i)
		if v < math.MinInt8 || v > math.MaxInt8 {
			return outOfRange(v, "an integer of 8 bits")
		}
		dst[i] = byte(v)
	}
	return nil
}

func int32ToInt16(dst, src []byte) error {
	for i := range len(dst) / 2 {
		v := le32(src, i)
		if v < math.MinInt16 || v > math.MaxInt16 {
			return outOfRange(v, "an integer of 16 bits")
		}
		binary.LittleEndian.PutUint16(dst[i*2:], uint16(v))
	}
	return nil
}

func int32ToInt64(dst, src []byte) error {
	for i := range len(dst) / 8 {
		binary.LittleEndian.PutUint64(dst[i*8:], uint64(le32(src, i)))
	}
	return nil
}

func uint32ToInt64(dst, src []byte) error {
	for i := range len(dst) / 8 {
		binary.LittleEndian.PutUint64(dst[i*8:], uint64(uint32(le32(src, i))))
	}
	return nil
}

func uint64ToInt64(dst, src []byte) error {
	copy(dst, src)
	for i := range len(dst) / 8 {
		if v := le64(src, i); v < 0 {
			return outOfRange(uint64(v), "a signed integer of 64 bits")
		}
	}
	return nil
}

func int32ToDouble(dst, src []byte) error {
	for i := range len(dst) / 8 {
		binary.LittleEndian.PutUint64(dst[i*8:], math.Float64bits(float64(le32(src, i))))
	}
	return nil
}

func floatToDouble(dst, src []byte) error {
	for i := range len(dst) / 8 {
		v := float64(math.Float32frombits(uint32(le32(src, i))))
		binary.LittleEndian.PutUint64(dst[i*8:], math.Float64bits(v))
	}
	return nil
}

func halfToFloat(dst, src []byte) error {
	for i := range len(dst) / 4 {
		v := float16.FromBits(binary.LittleEndian.Uint16(src[i*2:])).Float32()
		binary.LittleEndian.PutUint32(dst[i*4:], math.Float32bits(v))
	}
	return nil
}

func millisToMicros(dst, src []byte) error {
	for i := range len(dst) / 8 {
		v := le64(src, i)
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return outOfRange(v, "a moment in milliseconds that fits microseconds")
		}
		binary.LittleEndian.PutUint64(dst[i*8:], uint64(v*1000))
	}
	return nil
}

// nanosToMicros cuts towards the past, so that the order is kept.
func nanosToMicros(dst, src []byte) error {
	for i := range len(dst) / 8 {
		v := le64(src, i)
		q := v / 1000
		if v%1000 < 0 {
			q--
		}
		binary.LittleEndian.PutUint64(dst[i*8:], uint64(q))
	}
	return nil
}

// int96ToMicros converts the old timestamps of Spark and Impala: nanoseconds of the day and a Julian day number.
func int96ToMicros(dst, src []byte) error {
	const unixEpoch, microsPerDay = 2440588, 86_400_000_000
	for i := range len(dst) / 8 {
		nanos := le64(src[i*12:], 0)
		day := int64(le32(src[i*12+8:], 0)) - unixEpoch
		binary.LittleEndian.PutUint64(dst[i*8:], uint64(day*microsPerDay+nanos/1000))
	}
	return nil
}

func int32ToDecimal(dst, src []byte) error {
	for i := range len(dst) / 16 {
		putDecimal(dst[i*16:], int64(le32(src, i)))
	}
	return nil
}

func int64ToDecimal(dst, src []byte) error {
	for i := range len(dst) / 16 {
		putDecimal(dst[i*16:], le64(src, i))
	}
	return nil
}

func putDecimal(dst []byte, v int64) {
	binary.LittleEndian.PutUint64(dst, uint64(v))
	binary.LittleEndian.PutUint64(dst[8:], uint64(v>>63))
}

// bigEndianToDecimal converts two's complement numbers of any width to 16 bytes, least significant first.
func bigEndianToDecimal(dst, src []byte, width int) error {
	for i := range len(dst) / 16 {
		out, in := dst[i*16:(i+1)*16], src[i*width:(i+1)*width]
		sign := byte(int8(in[0]) >> 7)
		for j := range max(width, 16) {
			b := sign
			if j < width {
				b = in[width-1-j]
			}
			if j < 16 {
				out[j] = b
			} else if b != sign {
				return outOfRange(in, "a decimal of 128 bits")
			}
		}
	}
	return nil
}
