package s3parquet_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// Files that nobody declared to be sorted, such as other writers leave, are runs if their pages follow each other, and are
// so many rows that it pays to look.
func TestSortedRunsWithoutDeclaration(t *testing.T) {
	t.Parallel()
	const rows = 100_000
	all := sortedSamples(rows)
	for _, c := range []struct {
		what  string
		files []arrow.RecordBatch
		runs  int // 0 for none
	}{
		{"one sorted file", []arrow.RecordBatch{all}, 1},
		{"files that follow each other", []arrow.RecordBatch{all.NewSlice(0, rows/3), all.NewSlice(rows/3, rows)}, 1},
		{"files that overlap", []arrow.RecordBatch{all, all.NewSlice(rows/2, rows)}, 2},
		{"few rows", []arrow.RecordBatch{all.NewSlice(0, rows/2)}, 0},
		{"the second half before the first", nil, 0},
	} {
		s := openStore(t, t.TempDir(), s3parquet.Options{})
		for _, rec := range c.files {
			appendRows(t, s, "f", write(rec))
		}
		if c.files == nil {
			appendRows(t, s, "f", write(all.NewSlice(rows/2, rows), all.NewSlice(0, rows/2)))
		}
		snap, err := s.Snapshot(t.Context(), "f")
		if err != nil {
			t.Fatal(err)
		}
		runs, ok, err := snap.(store.Sorted).SortedRuns(t.Context(), "id", 9)
		if err != nil || ok != (c.runs > 0) || len(runs) != c.runs {
			t.Errorf("%s: %d runs, %v, %v; want %d", c.what, len(runs), ok, err, c.runs)
		}
	}
}
