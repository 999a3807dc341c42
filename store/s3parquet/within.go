package s3parquet

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// mayLieWithin reports whether a file can hold rows within the ranges, as far as the log tells. Of dates and binary values
// it tells nothing that could be compared.
func (s *snapshot) mayLieWithin(f *delta.File, w *store.Within) bool {
	if w == nil || s.Partition(w.Column) {
		return true
	}
	column, ok := store.Column(s.Schema(), w.Column)
	if !ok {
		return true
	}
	low, high, nulls, ok := f.ParseStats().Bounds(w.Column)
	if !ok || nulls && w.Nulls {
		return true
	}
	switch column.Type.ID() {
	case arrow.STRING:
		least, isText := low.(string)
		most, alsoText := high.(string)
		return !isText || !alsoText || w.Touches(least, most)
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64:
		least, isInt := low.(int64)
		most, alsoInt := high.(int64)
		return !isInt || !alsoInt || w.Touches(store.OrderedInt(least), store.OrderedInt(most))
	}
	return true
}
