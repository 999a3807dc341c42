package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// Cells are the values of one column of one batch, prepared for reading row by row without any interface: numbers,
// dates and times as 64-bit integers, strings and all else as bytes.
type cells struct {
	fixed        []int64 // nil for bytes
	offsets      []int32
	bytes        []byte
	valid, outer bitmap // outer is that of the struct which the column is a member of
}

// A bitmap says which rows are not null; the zero value says all.
type bitmap struct {
	bits   []byte
	offset int
}

func (b bitmap) isSet(i int) bool { return b.bits == nil || bitutil.BitIsSet(b.bits, b.offset+i) }

func bitmapOf(a arrow.Array) bitmap {
	if a.NullN() == 0 {
		return bitmap{}
	}
	return bitmap{bits: a.NullBitmapBytes(), offset: a.Data().Offset()}
}

func (c *cells) isNull(i int) bool { return !c.valid.isSet(i) || !c.outer.isSet(i) }

func (c *cells) value(i int) []byte { return c.bytes[c.offsets[i]:c.offsets[i+1]] }

// appendText adds a value as the text that is hashed: strings as they are, numbers in decimal.
func (c *cells) appendText(dst []byte, i int) []byte {
	if c.fixed != nil {
		return strconv.AppendInt(dst, c.fixed[i], 10)
	}
	return append(dst, c.value(i)...)
}

// text returns a value as the text that is hashed, in the memory of buf if it is not stored as text; nil for null.
func (c *cells) text(i int, buf *[]byte) []byte {
	switch {
	case c.isNull(i):
		return nil
	case c.fixed != nil:
		*buf = strconv.AppendInt((*buf)[:0], c.fixed[i], 10)
		return *buf
	}
	start, end := c.offsets[i], c.offsets[i+1]
	if start == end {
		return emptyText
	}
	return c.bytes[start:end:end]
}

// emptyText is no null, which is nil.
var emptyText = []byte{}

// nullCells are n nulls.
func nullCells(n int) cells {
	return cells{offsets: make([]int32, n+1), valid: bitmap{bits: make([]byte, bitutil.BytesForBits(int64(n)))}}
}

// cellsOf prepares a column of a stored type.
func cellsOf(a arrow.Array) (cells, error) {
	c := cells{valid: bitmapOf(a)}
	switch a := a.(type) {
	case *array.String:
		c.offsets, c.bytes = a.ValueOffsets(), rawBytes(a)
	case *array.Binary:
		c.offsets, c.bytes = a.ValueOffsets(), rawBytes(a)
	case *array.Int64:
		c.fixed = a.Int64Values()
	case *array.Timestamp:
		c.fixed = arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues()))
	case *array.Int32:
		c.fixed = widened(a.Int32Values())
	case *array.Int16:
		c.fixed = widened(a.Int16Values())
	case *array.Int8:
		c.fixed = widened(a.Int8Values())
	case *array.Date32:
		c.fixed = widened(a.Date32Values())
	case *array.Boolean:
		c.fixed = eachCell(a.Len(), func(i int) int64 {
			if a.Value(i) {
				return 1
			}
			return 0
		})
	case *array.Float64:
		c.fixed = eachCell(a.Len(), func(i int) int64 { return floatCell(a.Value(i)) })
	case *array.Float32:
		c.fixed = eachCell(a.Len(), func(i int) int64 { return floatCell(float64(a.Value(i))) })
	case *array.Decimal128:
		c.offsets, c.bytes = decimalCells(a)
	case *array.Null:
		return nullCells(a.Len()), nil
	default:
		return cells{}, fmt.Errorf("%w: a column of type %s has no single values", ErrRows, a.DataType())
	}
	return c, nil
}

// rawBytes is the buffer that the offsets of a string column count in.
func rawBytes(a arrow.Array) []byte {
	if b := a.Data().Buffers()[2]; b != nil {
		return b.Bytes()
	}
	return nil
}

func widened[T int8 | int16 | int32 | arrow.Date32](in []T) []int64 {
	return eachCell(len(in), func(i int) int64 { return int64(in[i]) })
}

// eachCell never returns nil, which would mean bytes.
func eachCell(n int, value func(i int) int64) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = value(i)
	}
	return out
}

// floatCell gives equal numbers equal bits.
func floatCell(f float64) int64 {
	switch {
	case f == 0:
		return 0
	case math.IsNaN(f):
		return int64(math.Float64bits(math.NaN()))
	}
	return int64(math.Float64bits(f))
}

func decimalCells(a *array.Decimal128) ([]int32, []byte) {
	offsets, values := make([]int32, a.Len()+1), make([]byte, 0, 16*a.Len())
	for i := range a.Len() {
		v := a.Value(i)
		values = binary.BigEndian.AppendUint64(values, uint64(v.HighBits()))
		values = binary.BigEndian.AppendUint64(values, v.LowBits())
		offsets[i+1] = int32(len(values))
	}
	return offsets, values
}

// memberCells prepares a member of a by-field column, which is a struct, or a map where Metaxy runs in its map mode.
// Rows without the member have nulls.
func memberCells(a arrow.Array, member string) (cells, error) {
	switch a := a.(type) {
	case *array.Struct:
		i, ok := a.DataType().(*arrow.StructType).FieldIdx(member)
		if !ok {
			return nullCells(a.Len()), nil
		}
		c, err := textCells(a.Field(i))
		if err != nil {
			return cells{}, fmt.Errorf("member %q: %w", member, err)
		}
		c.outer = bitmapOf(a)
		return c, nil
	case *array.Map:
		return mapCells(a, member)
	case *array.Null:
		return nullCells(a.Len()), nil
	}
	return cells{}, fmt.Errorf("%w: it is a column of type %s; expected a struct with a member for each field", ErrRows,
		a.DataType())
}

// textCells prepares a column whose values are hashed as text.
func textCells(a arrow.Array) (cells, error) {
	switch a := a.(type) {
	case *array.String, *array.Int64, *array.Int32, *array.Int16, *array.Int8, *array.Null:
		c, err := cellsOf(a)
		if a.Len() == 0 {
			return nullCells(0), err
		}
		return c, err
	case *array.Boolean:
		return boolText(a), nil
	}
	return cells{}, fmt.Errorf("%w: versions of type %s; expected strings or integers", ErrRows, a.DataType())
}

func boolText(a *array.Boolean) cells {
	c := cells{offsets: make([]int32, a.Len()+1), valid: bitmapOf(a)}
	for i := range a.Len() {
		c.bytes = strconv.AppendBool(c.bytes, a.Value(i))
		c.offsets[i+1] = int32(len(c.bytes))
	}
	return c
}

// mapCells picks the entry of each row whose key is the member.
func mapCells(a *array.Map, member string) (cells, error) {
	keys, ok := a.Keys().(*array.String)
	if !ok {
		return cells{}, fmt.Errorf("%w: a map from %s; expected one from field names", ErrRows, a.Keys().DataType())
	}
	items, err := textCells(a.Items())
	if err != nil {
		return cells{}, fmt.Errorf("member %q: %w", member, err)
	}
	out := nullCells(a.Len())
	for i := range a.Len() {
		start, end := a.ValueOffsets(i)
		for e := int(start); e < int(end) && a.IsValid(i); e++ {
			if keys.Value(e) == member && !items.isNull(e) {
				out.bytes = items.appendText(out.bytes, e)
				bitutil.SetBit(out.valid.bits, i)
				break
			}
		}
		out.offsets[i+1] = int32(len(out.bytes))
	}
	return out, nil
}
