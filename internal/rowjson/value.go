package rowjson

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// timeFormat is RFC 3339 with six digits; times are brought to UTC before.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// An appender appends element i of an array of one type.
type appender func(dst []byte, arr arrow.Array, i int) []byte

// appenderOf returns the appender of a type. With text, scalars other than null are written as strings.
func appenderOf(t arrow.DataType, text bool) appender {
	if t.ID() == arrow.NULL {
		return func(dst []byte, _ arrow.Array, _ int) []byte { return append(dst, "null"...) }
	}
	inner := appenderOfValid(t, text)
	return func(dst []byte, arr arrow.Array, i int) []byte {
		if arr.IsNull(i) {
			return append(dst, "null"...)
		}
		return inner(dst, arr, i)
	}
}

func appenderOfValid(t arrow.DataType, text bool) appender {
	switch t := t.(type) {
	case *arrow.StructType:
		return structAppender(t, text)
	case *arrow.MapType:
		return mapAppender(t, text)
	case arrow.ListLikeType:
		elem := appenderOf(t.Elem(), false)
		return func(dst []byte, arr arrow.Array, i int) []byte { return appendList(dst, arr.(array.ListLike), i, elem) }
	case *arrow.DictionaryType:
		elem := appenderOf(t.ValueType, text)
		return func(dst []byte, arr arrow.Array, i int) []byte {
			d := arr.(*array.Dictionary)
			return elem(dst, d.Dictionary(), d.GetValueIndex(i))
		}
	case arrow.ExtensionType:
		elem := appenderOf(t.StorageType(), text)
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return elem(dst, arr.(array.ExtensionArray).Storage(), i)
		}
	}
	scalar := scalarAppender(t)
	if text && quotesNothing(t) {
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return append(scalar(append(dst, '"'), arr, i), '"')
		}
	}
	return scalar
}

// quotesNothing reports whether values of a type are written without quotation marks.
func quotesNothing(t arrow.DataType) bool {
	return arrow.IsInteger(t.ID()) || t.ID() == arrow.BOOL || arrow.IsDecimal(t.ID())
}

func scalarAppender(t arrow.DataType) appender {
	switch t := t.(type) {
	case *arrow.BooleanType:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return strconv.AppendBool(dst, arr.(*array.Boolean).Value(i))
		}
	case *arrow.StringType, *arrow.LargeStringType, *arrow.StringViewType:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return AppendString(dst, arr.(array.StringLike).Value(i))
		}
	case *arrow.BinaryType, *arrow.LargeBinaryType, *arrow.BinaryViewType:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return appendBytes(dst, arr.(interface{ Value(int) []byte }).Value(i))
		}
	case *arrow.FixedSizeBinaryType:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return appendBytes(dst, arr.(*array.FixedSizeBinary).Value(i))
		}
	case *arrow.TimestampType:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return appendTime(dst, arr.(*array.Timestamp).Value(i).ToTime(t.Unit))
		}
	case *arrow.Float64Type:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return appendFloat(dst, arr.(*array.Float64).Value(i), 64)
		}
	case *arrow.Float32Type:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return appendFloat(dst, float64(arr.(*array.Float32).Value(i)), 32)
		}
	case *arrow.Decimal128Type:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return append(dst, arr.(*array.Decimal128).Value(i).ToString(t.Scale)...)
		}
	}
	if arrow.IsInteger(t.ID()) {
		return integerAppender(t)
	}
	// What remains prints itself: decimals as numbers, dates, clock times and intervals as strings.
	if arrow.IsDecimal(t.ID()) {
		return func(dst []byte, arr arrow.Array, i int) []byte { return append(dst, arr.ValueStr(i)...) }
	}
	return func(dst []byte, arr arrow.Array, i int) []byte { return AppendString(dst, arr.ValueStr(i)) }
}

func integerAppender(t arrow.DataType) appender {
	switch t.ID() {
	case arrow.INT64:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return strconv.AppendInt(dst, arr.(*array.Int64).Value(i), 10)
		}
	case arrow.INT32:
		return func(dst []byte, arr arrow.Array, i int) []byte {
			return strconv.AppendInt(dst, int64(arr.(*array.Int32).Value(i)), 10)
		}
	default:
		return func(dst []byte, arr arrow.Array, i int) []byte { return append(dst, arr.ValueStr(i)...) }
	}
}

func structAppender(t *arrow.StructType, text bool) appender {
	names, values := make([][]byte, t.NumFields()), make([]appender, t.NumFields())
	for i, f := range t.Fields() {
		names[i], values[i] = append(AppendString(nil, f.Name), ':'), appenderOf(f.Type, text)
	}
	return func(dst []byte, arr arrow.Array, i int) []byte {
		s := arr.(*array.Struct)
		dst = append(dst, '{')
		for m := range names {
			if m > 0 {
				dst = append(dst, ',')
			}
			dst = values[m](append(dst, names[m]...), s.Field(m), i)
		}
		return append(dst, '}')
	}
}

// mapAppender writes a map with string keys as an object, any other as a list of pairs.
func mapAppender(t *arrow.MapType, text bool) appender {
	key, item := appenderOf(t.KeyType(), false), appenderOf(t.ItemType(), text)
	open, between, shut, left, right := byte('['), byte(','), byte(']'), "[", "]"
	if t.KeyType().ID() == arrow.STRING || t.KeyType().ID() == arrow.LARGE_STRING {
		open, between, shut, left, right = '{', ':', '}', "", ""
	}
	return func(dst []byte, arr arrow.Array, i int) []byte {
		m := arr.(*array.Map)
		from, to := m.ValueOffsets(i)
		dst = append(dst, open)
		for j := int(from); j < int(to); j++ {
			if j > int(from) {
				dst = append(dst, ',')
			}
			dst = append(key(append(dst, left...), m.Keys(), j), between)
			dst = append(item(dst, m.Items(), j), right...)
		}
		return append(dst, shut)
	}
}

func appendList(dst []byte, list array.ListLike, i int, elem appender) []byte {
	from, to := list.ValueOffsets(i)
	dst = append(dst, '[')
	for j := int(from); j < int(to); j++ {
		if j > int(from) {
			dst = append(dst, ',')
		}
		dst = elem(dst, list.ListValues(), j)
	}
	return append(dst, ']')
}

func appendBytes(dst, value []byte) []byte {
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), value), '"')
}

func appendTime(dst []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(dst, '"'), timeFormat), '"')
}

func appendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, v, format, -1, bits)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}
