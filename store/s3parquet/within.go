package s3parquet

import (
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
