package metaxy

import (
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// sorted brings rows into the order of their id columns and returns the columns that they are sorted by: none, if an id
// is of a type that the store declares no order for.
func sorted(rec arrow.RecordBatch, ids []string) (arrow.RecordBatch, []string, error) {
	var compare []func(a, b int) int
	for _, name := range ids {
		c := comparer(column(rec, name))
		if c == nil {
			return rec, nil, nil
		}
		compare = append(compare, c)
	}
	order := make([]int, rec.NumRows())
	for i := range order {
		order[i] = i
	}
	byID := func(a, b int) int {
		for _, c := range compare {
			if d := c(a, b); d != 0 {
				return d
			}
		}
		return 0
	}
	if slices.IsSortedFunc(order, byID) {
		return rec, ids, nil
	}
	slices.SortStableFunc(order, byID)
	rec, err := store.Take(rec, order)
	return rec, ids, err
}

// comparer returns nil for types without a declared order. Strings compare by bytes, integers by value.
func comparer(col arrow.Array) func(a, b int) int {
	switch c := col.(type) {
	case *array.String:
		return func(a, b int) int { return cmp.Compare(c.Value(a), c.Value(b)) }
	case *array.Int64:
		return func(a, b int) int { return cmp.Compare(c.Value(a), c.Value(b)) }
	case *array.Int32:
		return func(a, b int) int { return cmp.Compare(c.Value(a), c.Value(b)) }
	case *array.Int16:
		return func(a, b int) int { return cmp.Compare(c.Value(a), c.Value(b)) }
	case *array.Int8:
		return func(a, b int) int { return cmp.Compare(c.Value(a), c.Value(b)) }
	}
	return nil
}
