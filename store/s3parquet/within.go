package s3parquet

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// mayLieWithin reports whether a file can hold rows within the ranges, as far as the log tells.
func (s *snapshot) mayLieWithin(f *delta.File, w *store.Within) bool {
	if w == nil {
		return true
	}
	low, high, nulls, ok := s.bounds(f, w.Column)
	return !ok || nulls && w.Nulls || w.Touches(low, high)
}

// trim cuts off what lies before and after the ranges in a batch of a file that is sorted by their column. Its pages hold
// more than that where a range begins and ends, and a row that nobody wants is dear to who has to find that out: its other
// columns may be read. Of other files all rows are left, as a look at each would cost as much as it could save.
func trim(b store.Batch, f *delta.File, w *store.Within) store.Batch {
	if w == nil {
		return b
	}
	by := sortedBy(f)
	column := slices.IndexFunc(b.Schema().Fields(), func(field arrow.Field) bool { return field.Name == w.Column })
	if column < 0 || len(by) == 0 || by[0] != w.Column {
		return b
	}
	values := b.Column(column)
	from, to := 0, int(b.NumRows())
	for from < to && !hasRow(values, from, w) {
		from++
	}
	for to > from && !hasRow(values, to-1, w) {
		to--
	}
	if from == 0 && to == int(b.NumRows()) {
		return b
	}
	out := store.Batch{RecordBatch: b.NewSlice(int64(from), int64(to)), File: b.File, First: b.First + uint32(from)}
	if b.Rows != nil {
		out.First, out.Rows = 0, b.Rows[from:to]
	}
	return out
}

func hasRow(values arrow.Array, row int, w *store.Within) bool {
	value, ok := store.OrderedValue(values, row)
	if !ok {
		return w.Nulls
	}
	return w.Has(value)
}
