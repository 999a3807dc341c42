package s3parquet

import (
	"context"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

var (
	_ store.Sorted      = (*snapshot)(nil)
	_ store.NullCounter = (*snapshot)(nil)
)

const (
	// maxUndeclared is of how many files that nobody declared to be sorted the pages are looked up.
	maxUndeclared = dividedAtOnce
	// undeclaredRows is how many rows these files have at least together, or it would not pay.
	undeclaredRows = 100_000
)

// SortedRuns implements store.Sorted, by the tags and statistics in the log. Of a few large files without a tag, such as other
// writers leave, it looks whether one page begins where another ends.
func (s *snapshot) SortedRuns(ctx context.Context, column string, most int) ([]store.SortedRun, bool, error) {
	files := make([]store.SortedFile, len(s.Files))
	var undeclared []*delta.File
	rows := int64(0)
	for i, f := range s.Files {
		n := f.ParseStats().NumRecords
		if n == nil {
			return nil, false, nil
		}
		files[i] = store.SortedFile{Ordinal: i, Rows: *n}
		if low, high, nulls, ok := s.bounds(f, column); ok && !nulls {
			files[i].Low, files[i].High, files[i].Bounded = low, high, true
		}
		if by := sortedBy(f); len(by) == 0 || by[0] != column {
			undeclared = append(undeclared, f)
			rows += *n
		}
	}
	if len(undeclared) > 0 {
		if len(undeclared) > maxUndeclared || rows < undeclaredRows {
			return nil, false, nil
		}
		pages, err := s.pagesOf(ctx, undeclared, column)
		if err != nil || slices.ContainsFunc(pages, overlapping) {
			return nil, false, err
		}
	}
	runs, ok := store.JoinRuns(files, most)
	return runs, ok, nil
}

// overlapping reports whether a page does not begin where the one before it ends, or where it does is not known.
func overlapping(pages []columnar.PageBounds) bool {
	for i := 1; i < len(pages); i++ {
		if pages[i].Min < pages[i-1].Max {
			return true
		}
	}
	return pages == nil
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
