package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
)

// A keyClass is a family of types whose values can be compared as ids: 'i' for integers of any width, and so on. It
// is also the byte that a value's encoding starts with, so that encodings of different classes differ.
type keyClass byte

// nullCell is the whole encoding of a null.
const nullCell = 0

// classOf returns the class of a stored type, or 0 for a type that cannot identify a sample.
func classOf(t arrow.DataType) keyClass {
	switch t := t.(type) {
	case *arrow.StringType:
		return 's'
	case *arrow.BinaryType:
		return 'b'
	case *arrow.Int64Type, *arrow.Int32Type, *arrow.Int16Type, *arrow.Int8Type:
		return 'i'
	case *arrow.BooleanType:
		return 'o'
	case *arrow.Float64Type, *arrow.Float32Type:
		return 'f'
	case *arrow.Date32Type:
		return 'd'
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			return 'w'
		}
		return 't'
	case *arrow.Decimal128Type:
		return 0x80 | keyClass(t.Scale&0x3f)
	}
	return 0
}

// wider returns that of two types of one class which has the values of both.
func wider(a, b arrow.DataType) arrow.DataType {
	if d, ok := a.(*arrow.Decimal128Type); ok {
		if e, ok := b.(*arrow.Decimal128Type); ok && e.Precision > d.Precision {
			return b
		}
		return a
	}
	x, fixed := a.(arrow.FixedWidthDataType)
	y, too := b.(arrow.FixedWidthDataType)
	if fixed && too && y.BitWidth() > x.BitWidth() {
		return b
	}
	return a
}

// A keyColumn is an id column of one batch.
type keyColumn struct {
	cells
	class keyClass
}

// appendCell adds the encoding of value i to dst and reports whether it is null. The encoding is injective, and none
// is the beginning of another one.
func (c *keyColumn) appendCell(dst []byte, i int) ([]byte, bool) {
	if c.isNull(i) {
		return append(dst, nullCell), true
	}
	dst = append(dst, byte(c.class))
	if c.fixed != nil {
		return binary.LittleEndian.AppendUint64(dst, uint64(c.fixed[i])), false
	}
	v := c.value(i)
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	return append(dst, v...), false
}

// sameCell reports whether value i of c equals value j of a column of the same class. Nulls equal each other.
func (c *keyColumn) sameCell(i int, o *keyColumn, j int) bool {
	if null := c.isNull(i); null || o.isNull(j) {
		return null && o.isNull(j)
	}
	if c.fixed != nil {
		return c.fixed[i] == o.fixed[j]
	}
	return bytes.Equal(c.value(i), o.value(j))
}

// compareCell orders value i of c and value j of a column of the same class as Metaxy sorts: nulls first, numbers and
// times by value, strings by their bytes, NaN last.
func (c *keyColumn) compareCell(i int, o *keyColumn, j int) int {
	switch null, other := c.isNull(i), o.isNull(j); {
	case null || other:
		return boolCell(other) - boolCell(null)
	case c.fixed == nil && c.class&0x80 != 0:
		return cmp.Or(cmp.Compare(int8(c.value(i)[0]), int8(o.value(j)[0])), bytes.Compare(c.value(i), o.value(j)))
	case c.fixed == nil:
		return bytes.Compare(c.value(i), o.value(j))
	case c.class == 'f':
		return compareFloats(math.Float64frombits(uint64(c.fixed[i])), math.Float64frombits(uint64(o.fixed[j])))
	}
	return cmp.Compare(c.fixed[i], o.fixed[j])
}

func compareFloats(a, b float64) int {
	if nan, other := math.IsNaN(a), math.IsNaN(b); nan || other {
		return boolCell(nan) - boolCell(other)
	}
	return cmp.Compare(a, b)
}

func boolCell(b bool) int {
	if b {
		return 1
	}
	return 0
}

// appendKey adds the encoding of row i of the columns to dst and reports whether any value is null. Two rows have the
// same encoding exactly when all their values are equal.
func appendKey(dst []byte, columns []keyColumn, i int) ([]byte, bool) {
	anyNull := false
	for k := range columns {
		var null bool
		dst, null = columns[k].appendCell(dst, i)
		anyNull = anyNull || null
	}
	return dst, anyNull
}

// sameKey reports whether row i of a and row j of b, columns of the same classes, have equal values.
func sameKey(a []keyColumn, i int, b []keyColumn, j int) bool {
	for k := range a {
		if !a[k].sameCell(i, &b[k], j) {
			return false
		}
	}
	return true
}

// pickColumns returns the chosen columns in the chosen order.
func pickColumns(columns []keyColumn, chosen []int) []keyColumn {
	out := make([]keyColumn, len(chosen))
	for i, c := range chosen {
		out[i] = columns[c]
	}
	return out
}
