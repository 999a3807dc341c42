package store

import (
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// A RowAt is a row of one of several batches.
type RowAt struct {
	// Batch is the batch's place among them, Row the row's place in it.
	Batch, Row uint32
}

// SortRows brings rows into ascending order of the columns, as Write.SortedBy declares it, and returns the columns that
// they are sorted by: none, and the rows as they were, if a column is missing or of a type without a declared order.
func SortRows(rec arrow.RecordBatch, by []string) (arrow.RecordBatch, []string, error) {
	compare := RowComparer([]arrow.RecordBatch{rec}, by)
	if compare == nil {
		return rec, nil, nil
	}
	if ascending(int(rec.NumRows()), compare) {
		return rec, by, nil
	}
	order, _ := SortOrder([]arrow.RecordBatch{rec}, by)
	rows := make([]int, len(order))
	for i, at := range order {
		rows[i] = int(at.Row)
	}
	rec, err := Take(rec, rows)
	return rec, by, err
}

// ascending reports whether n rows of a single batch are in order.
func ascending(n int, compare func(a, b RowAt) int) bool {
	for i := 1; i < n; i++ {
		if compare(RowAt{Row: uint32(i - 1)}, RowAt{Row: uint32(i)}) > 0 {
			return false
		}
	}
	return true
}

// SortOrder returns the rows of all batches in ascending order of the columns; rows that are equal keep their order. It
// reports false if a column is missing somewhere, has different types, or is of a type without a declared order.
func SortOrder(batches []arrow.RecordBatch, by []string) ([]RowAt, bool) {
	compare, first := rowComparer(batches, by)
	if compare == nil {
		return nil, false
	}
	var order []RowAt
	for b, rec := range batches {
		for r := range int(rec.NumRows()) {
			order = append(order, RowAt{uint32(b), uint32(r)})
		}
	}
	all := func(a, b RowAt) int {
		return cmp.Or(compare(a, b), cmp.Compare(a.Batch, b.Batch), cmp.Compare(a.Row, b.Row))
	}
	if !slices.IsSortedFunc(order, all) {
		sortByKey(order, keysOf(first), all)
	}
	return order, true
}

// RowComparer compares rows of several batches by the columns; nil where SortOrder reports false.
func RowComparer(batches []arrow.RecordBatch, by []string) func(a, b RowAt) int {
	compare, _ := rowComparer(batches, by)
	return compare
}

// rowComparer returns the parts of the first column too.
func rowComparer(batches []arrow.RecordBatch, by []string) (compare func(a, b RowAt) int, first []arrow.Array) {
	columns := make([]func(a, b RowAt) int, len(by))
	for i, name := range by {
		cols := make([]arrow.Array, len(batches))
		for b, rec := range batches {
			at := rec.Schema().FieldIndices(name)
			if len(at) != 1 {
				return nil, nil
			}
			cols[b] = rec.Column(at[0])
		}
		if columns[i] = comparison(cols); columns[i] == nil {
			return nil, nil
		}
		if i == 0 {
			first = cols
		}
	}
	return func(a, b RowAt) int {
		for _, c := range columns {
			if d := c(a, b); d != 0 {
				return d
			}
		}
		return 0
	}, first
}

// Comparer compares the rows of a column in the order that Write.SortedBy declares; nil for types without one.
func Comparer(col arrow.Array) func(a, b int) int {
	c := comparison([]arrow.Array{col})
	if c == nil {
		return nil
	}
	return func(a, b int) int { return c(RowAt{0, uint32(a)}, RowAt{0, uint32(b)}) }
}

// comparison compares rows of a column that lies in several parts.
func comparison(parts []arrow.Array) func(a, b RowAt) int {
	if len(parts) == 0 {
		return func(RowAt, RowAt) int { return 0 }
	}
	switch parts[0].(type) {
	case *array.String:
		return compareValues[string, *array.String](parts)
	case *array.Int64:
		return compareValues[int64, *array.Int64](parts)
	case *array.Int32:
		return compareValues[int32, *array.Int32](parts)
	case *array.Int16:
		return compareValues[int16, *array.Int16](parts)
	case *array.Int8:
		return compareValues[int8, *array.Int8](parts)
	}
	return nil
}

// compareValues compares strings by bytes, integers by value, and puts nulls first. It returns nil if the parts differ
// in type.
func compareValues[T cmp.Ordered, A interface {
	arrow.Array
	Value(i int) T
}](parts []arrow.Array) func(a, b RowAt) int {
	cols := make([]A, len(parts))
	nulls := false
	for i, p := range parts {
		col, ok := p.(A)
		if !ok {
			return nil
		}
		cols[i] = col
		nulls = nulls || col.NullN() > 0
	}
	values := func(a, b RowAt) int {
		return cmp.Compare(cols[a.Batch].Value(int(a.Row)), cols[b.Batch].Value(int(b.Row)))
	}
	if !nulls {
		return values
	}
	return func(a, b RowAt) int {
		switch nullA, nullB := cols[a.Batch].IsNull(int(a.Row)), cols[b.Batch].IsNull(int(b.Row)); {
		case nullA && nullB:
			return 0
		case nullA:
			return -1
		case nullB:
			return 1
		}
		return values(a, b)
	}
}
