package store

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// castScalar converts an array between types for which castable holds.
func castScalar(a arrow.Array, to arrow.DataType, path string) (arrow.Array, error) {
	b := array.NewBuilder(memory.DefaultAllocator, to)
	b.Reserve(a.Len())
	for i := range a.Len() {
		if a.IsNull(i) {
			b.AppendNull()
			continue
		}
		if !castValue(b, a, i) {
			return nil, fmt.Errorf("%w: column %q: value %s does not fit %s", ErrSchema, path, a.ValueStr(i), to)
		}
	}
	return b.NewArray(), nil
}

// castValue appends value i of a, or reports that it does not fit.
func castValue(b array.Builder, a arrow.Array, i int) bool {
	switch b := b.(type) {
	case *array.StringBuilder:
		return castBytes(b.BinaryBuilder, a, i)
	case *array.BinaryBuilder:
		return castBytes(b, a, i)
	case *array.Int16Builder:
		v, ok := intValue(a, i)
		b.Append(int16(v))
		return ok
	case *array.Int32Builder:
		v, ok := intValue(a, i)
		b.Append(int32(v))
		return ok
	case *array.Int64Builder:
		v, ok := intValue(a, i)
		b.Append(v)
		return ok
	case *array.Float32Builder:
		v, ok := floatValue(a, i)
		b.Append(float32(v))
		return ok
	case *array.Float64Builder:
		v, ok := floatValue(a, i)
		b.Append(v)
		return ok
	case *array.Date32Builder:
		d, ok := a.(*array.Date64)
		if !ok || d.Value(i)%86_400_000 != 0 {
			return false
		}
		b.Append(arrow.Date32(d.Value(i) / 86_400_000))
		return true
	case *array.TimestampBuilder:
		v, ok := micros(a, i)
		b.Append(v)
		return ok
	case *array.Decimal128Builder:
		v, ok := decimalValue(a, i, b.Type().(*arrow.Decimal128Type).Scale)
		b.Append(v)
		return ok
	}
	return false
}

func castBytes(b *array.BinaryBuilder, a arrow.Array, i int) bool {
	switch v := a.(type) {
	case array.StringLike:
		b.AppendString(v.Value(i))
	case interface{ Value(int) []byte }: // the binary types, whatever their offsets
		b.Append(v.Value(i))
	default:
		return false
	}
	return true
}

func intValue(a arrow.Array, i int) (int64, bool) {
	switch v := a.(type) {
	case *array.Int8:
		return int64(v.Value(i)), true
	case *array.Int16:
		return int64(v.Value(i)), true
	case *array.Int32:
		return int64(v.Value(i)), true
	case *array.Int64:
		return v.Value(i), true
	case *array.Uint8:
		return int64(v.Value(i)), true
	case *array.Uint16:
		return int64(v.Value(i)), true
	case *array.Uint32:
		return int64(v.Value(i)), true
	case *array.Uint64:
		return int64(v.Value(i)), v.Value(i) <= math.MaxInt64
	}
	return 0, false
}

func floatValue(a arrow.Array, i int) (float64, bool) {
	switch v := a.(type) {
	case *array.Float16:
		return float64(v.Value(i).Float32()), true
	case *array.Float32:
		return float64(v.Value(i)), true
	case *array.Float64:
		return v.Value(i), true
	}
	n, ok := intValue(a, i)
	return float64(n), ok
}

// micros converts to microseconds; what is finer is cut towards the past, so that order is kept.
func micros(a arrow.Array, i int) (arrow.Timestamp, bool) {
	t, ok := a.(*array.Timestamp)
	if !ok {
		return 0, false
	}
	v := int64(t.Value(i))
	switch t.DataType().(*arrow.TimestampType).Unit {
	case arrow.Nanosecond:
		q := v / 1000
		if v%1000 < 0 {
			q--
		}
		return arrow.Timestamp(q), true
	case arrow.Millisecond:
		return arrow.Timestamp(v * 1000), v >= math.MinInt64/1000 && v <= math.MaxInt64/1000
	case arrow.Second:
		return arrow.Timestamp(v * 1_000_000), v >= math.MinInt64/1_000_000 && v <= math.MaxInt64/1_000_000
	}
	return arrow.Timestamp(v), true
}

func decimalValue(a arrow.Array, i int, scale int32) (decimal128.Num, bool) {
	var n decimal128.Num
	switch v := a.(type) {
	case *array.Decimal32:
		n = decimal128.FromI64(int64(v.Value(i)))
	case *array.Decimal64:
		n = decimal128.FromI64(int64(v.Value(i)))
	case *array.Decimal128:
		n = v.Value(i)
	case *array.Decimal256:
		big := v.Value(i).BigInt()
		if big.BitLen() > 127 {
			return n, false
		}
		n = decimal128.FromBigInt(big)
	default:
		return n, false
	}
	return n.IncreaseScaleBy(scale - a.DataType().(arrow.DecimalType).GetScale()), true
}
