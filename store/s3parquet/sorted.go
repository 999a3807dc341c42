package s3parquet

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

var (
	_ store.Sorted      = (*snapshot)(nil)
	_ store.NullCounter = (*snapshot)(nil)
)

// SortedRuns implements store.Sorted, by the tags and statistics in the log.
func (s *snapshot) SortedRuns(column string, most int) ([]store.SortedRun, bool) {
	files := make([]store.SortedFile, len(s.Files))
	for i, f := range s.Files {
		by := sortedBy(f)
		rows := f.ParseStats().NumRecords
		if rows == nil || len(by) == 0 || by[0] != column {
			return nil, false
		}
		files[i] = store.SortedFile{Ordinal: i, Rows: *rows}
		if low, high, nulls, ok := s.bounds(f, column); ok && !nulls {
			files[i].Low, files[i].High, files[i].Bounded = low, high, true
		}
	}
	return store.JoinRuns(files, most)
}

// bounds returns bounds of a column of a file in the form of store.OrderedValue, and whether it may have nulls, as far as the
// log tells; ok is false if it does not. Of dates and binary values it tells nothing that could be compared.
func (s *snapshot) bounds(f *delta.File, name string) (low, high string, nulls, ok bool) {
	column, ok := store.Column(s.Schema(), name)
	if !ok || s.Partition(name) {
		return "", "", true, false
	}
	least, most, nulls, ok := f.ParseStats().Bounds(name)
	if !ok {
		return "", "", nulls, false
	}
	switch column.Type.ID() {
	case arrow.STRING:
		low, first := least.(string)
		high, last := most.(string)
		return low, high, nulls, first && last
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64:
		low, first := least.(int64)
		high, last := most.(int64)
		return store.OrderedInt(low), store.OrderedInt(high), nulls, first && last
	}
	return "", "", nulls, false
}

// NoNulls implements store.NullCounter, by the statistics in the log.
func (s *snapshot) NoNulls(column string, members []string) bool {
	for _, f := range s.Files {
		stats := f.ParseStats()
		for _, m := range members {
			if !stats.NoNulls(column, m) {
				return false
			}
		}
	}
	return true
}
