package store

import (
	"encoding/binary"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Within are ranges of the values of a column that is of strings, binary values, integers or dates. Values stand in the
// form that [OrderedValue] gives them, whose order as bytes is that of the values.
type Within struct {
	Column string
	Ranges []Range // in ascending order, without overlap
	Nulls  bool    // null is wanted too
}

// A Range is the values from Min up to Max, both of them in it. An open range has no greatest value.
type Range struct {
	Min, Max string
	Before   bool // Max itself is not in it
	Open     bool
}

// endsBefore reports whether all values of the range are less than one.
func (r *Range) endsBefore(value string) bool {
	return !r.Open && (r.Max < value || r.Before && r.Max == value)
}

// Touches reports whether a value between the bounds, these among them, may be in one of the ranges.
func (w *Within) Touches(low, high string) bool {
	// The first range that does not end before the bounds begin.
	i, _ := slices.BinarySearchFunc(w.Ranges, low, func(r Range, low string) int {
		if r.endsBefore(low) {
			return -1
		}
		return 1
	})
	return i < len(w.Ranges) && w.Ranges[i].Min <= high
}

// Has reports whether a value is in one of the ranges.
func (w *Within) Has(value string) bool { return w.Touches(value, value) }

// Orderable reports whether a type has values that Within can speak of.
func Orderable(t arrow.DataType) bool {
	switch t.ID() {
	case arrow.STRING, arrow.BINARY, arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.DATE32:
		return true
	}
	return false
}

// OrderedValue returns the value of a row in the form that Within has; false for null and for types that are not
// orderable.
func OrderedValue(a arrow.Array, row int) (string, bool) {
	if a.IsNull(row) {
		return "", false
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(row), true
	case *array.Binary:
		return string(a.Value(row)), true
	case *array.Int8:
		return OrderedInt(int64(a.Value(row))), true
	case *array.Int16:
		return OrderedInt(int64(a.Value(row))), true
	case *array.Int32:
		return OrderedInt(int64(a.Value(row))), true
	case *array.Int64:
		return OrderedInt(a.Value(row)), true
	case *array.Date32:
		return OrderedInt(int64(a.Value(row))), true
	}
	return "", false
}

// OrderedInt is OrderedValue of an integer, or of the days of a date.
func OrderedInt(v int64) string {
	return string(binary.BigEndian.AppendUint64(nil, uint64(v)^1<<63))
}
