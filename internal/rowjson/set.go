package rowjson

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ErrValue reports a JSON value that does not fit its column.
var ErrValue = errors.New("unfit value")

// A setter appends one JSON value to a builder of its type.
type setter func(b array.Builder, raw []byte) error

// setterOf returns the setter of a type. With text, scalars in structs and maps are taken as their text.
func setterOf(t arrow.DataType, text bool) (setter, error) {
	inner, err := setterOfValid(t, text)
	if err != nil {
		return nil, err
	}
	return func(b array.Builder, raw []byte) error {
		if raw[0] == 'n' {
			b.AppendNull()
			return nil
		}
		return inner(b, raw)
	}, nil
}

func setterOfValid(t arrow.DataType, text bool) (setter, error) {
	switch t := t.(type) {
	case *arrow.StringType:
		return setString, nil
	case *arrow.BooleanType:
		return setBool, nil
	case *arrow.Int8Type, *arrow.Int16Type, *arrow.Int32Type, *arrow.Int64Type:
		return setInteger, nil
	case *arrow.Float32Type, *arrow.Float64Type:
		return setFloat, nil
	case *arrow.Decimal128Type:
		return decimalSetter(t), nil
	case *arrow.TimestampType:
		return setTimestamp, nil
	case *arrow.Date32Type:
		return setDate, nil
	case *arrow.BinaryType:
		return setBytes, nil
	case *arrow.StructType:
		return structSetter(t, text)
	case *arrow.MapType:
		return mapSetter(t, text)
	case *arrow.ListType:
		return listSetter(t)
	}
	return nil, fmt.Errorf("%w: no JSON form is read into type %s", store.ErrSchema, t)
}

// unfit says that a value is not of the wanted kind.
func unfit(raw []byte, want string) error {
	const most = 60
	shown := string(raw)
	if len(raw) > most {
		shown = string(bytes.ToValidUTF8(raw[:most], nil)) + "…"
	}
	return fmt.Errorf("%w: %s is %s, expected %s", ErrValue, shown, kindName(raw), want)
}

// setString takes a string as it is, and anything else as its JSON text.
func setString(b array.Builder, raw []byte) error {
	if raw[0] == '"' {
		s, err := unquote(raw)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrValue, err)
		}
		b.(*array.StringBuilder).Append(s)
		return nil
	}
	if k := kindOf(raw); k == kindList || k == kindObject {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			return fmt.Errorf("%w: %w", ErrValue, err)
		}
		raw = compact.Bytes()
	}
	b.(*array.StringBuilder).BinaryBuilder.Append(raw)
	return nil
}

// setID takes a string or null.
func setID(b array.Builder, raw []byte) error {
	switch kindOf(raw) {
	case kindNull:
		b.AppendNull()
		return nil
	case kindString:
		return setString(b, raw)
	default:
		return unfit(raw, "a string, which the ids of this table are")
	}
}

func setBool(b array.Builder, raw []byte) error {
	if kindOf(raw) != kindBool {
		return unfit(raw, "true or false")
	}
	b.(*array.BooleanBuilder).Append(raw[0] == 't')
	return nil
}

func setInteger(b array.Builder, raw []byte) error {
	bits := b.Type().(arrow.FixedWidthDataType).BitWidth()
	if kindOf(raw) != kindInteger {
		return unfit(raw, fmt.Sprintf("an integer of %d bits", bits))
	}
	v, err := strconv.ParseInt(string(raw), 10, bits)
	if err != nil {
		return fmt.Errorf("%w: %s does not fit into an integer of %d bits; write it as a string", ErrValue, raw, bits)
	}
	switch b := b.(type) {
	case *array.Int8Builder:
		b.Append(int8(v))
	case *array.Int16Builder:
		b.Append(int16(v))
	case *array.Int32Builder:
		b.Append(int32(v))
	case *array.Int64Builder:
		b.Append(v)
	}
	return nil
}

// notNumbers are the strings that stand for what JSON has no number for.
var notNumbers = map[string]float64{
	"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "inf": math.Inf(1), "-inf": math.Inf(-1),
}

func setFloat(b array.Builder, raw []byte) error {
	bits := b.Type().(arrow.FixedWidthDataType).BitWidth()
	v, err := floatValue(raw, bits)
	if err != nil {
		return err
	}
	if b32, ok := b.(*array.Float32Builder); ok {
		b32.Append(float32(v))
		return nil
	}
	b.(*array.Float64Builder).Append(v)
	return nil
}

func floatValue(raw []byte, bits int) (float64, error) {
	switch kindOf(raw) {
	case kindString:
		if v, ok := notNumbers[string(raw[1:len(raw)-1])]; ok {
			return v, nil
		}
	case kindInteger, kindFraction:
		v, err := strconv.ParseFloat(string(raw), bits)
		if err != nil {
			return 0, fmt.Errorf("%w: %s does not fit into a floating-point number of %d bits", ErrValue, raw, bits)
		}
		if kindOf(raw) == kindInteger && !exact(raw, v) {
			return 0, fmt.Errorf("%w: %s cannot be kept exactly in a column of floating-point numbers", ErrValue, raw)
		}
		return v, nil
	}
	return 0, unfit(raw, `a number, "NaN", "Infinity" or "-Infinity"`)
}

// exact reports whether the integer in raw is the value of v.
func exact(raw []byte, v float64) bool {
	want, ok := new(big.Int).SetString(string(raw), 10)
	have, accuracy := big.NewFloat(v).Int(nil)
	return ok && accuracy == big.Exact && want.Cmp(have) == 0
}

func decimalSetter(t *arrow.Decimal128Type) setter {
	return func(b array.Builder, raw []byte) error {
		text := string(bytes.Trim(raw, `"`))
		// An exponent could ask for a number of any length.
		if len(text) > 100 || strings.Trim(text, "-.0123456789") != "" {
			return unfit(raw, t.String())
		}
		r, ok := new(big.Rat).SetString(text)
		if !ok {
			return unfit(raw, t.String())
		}
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)))
		if !r.IsInt() || r.Num().BitLen() > 127 {
			return unfit(raw, t.String())
		}
		n := decimal128.FromBigInt(r.Num())
		if !n.FitsInPrecision(t.Precision) {
			return unfit(raw, t.String())
		}
		b.(*array.Decimal128Builder).Append(n)
		return nil
	}
}

func setBytes(b array.Builder, raw []byte) error {
	if raw[0] != '"' {
		return unfit(raw, "bytes in base64")
	}
	s, err := unquote(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrValue, err)
	}
	v, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return unfit(raw, "bytes in base64")
	}
	b.(*array.BinaryBuilder).Append(v)
	return nil
}
