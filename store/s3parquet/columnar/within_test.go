package columnar

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// textsOf is the first column of a batch.
func textsOf(rec arrow.RecordBatch) []string {
	if rec == nil {
		return nil
	}
	out := make([]string, rec.NumRows())
	for i := range out {
		out[i] = rec.Column(0).(*array.String).Value(i)
	}
	return out
}

// A scan within ranges reads the pages that can hold them, and little else.
func TestScanWithinReadsLittle(t *testing.T) {
	t.Parallel()
	m := &meter{data: featureFile(t, 50_000)}
	f := m.open(t, ReadOptions{})
	q := store.Query{Columns: []string{"id"}}
	all, _ := scanAll(t, f, q, featureTable())
	whole := m.bytes
	ids := textsOf(all)
	for _, at := range [][]int{{0}, {49_999}, {20_000, 20_001, 20_500}, {10, 30_000}, {}} {
		w := &store.Within{Column: "id"}
		for _, i := range at {
			w.Ranges = append(w.Ranges, store.Range{Min: ids[i], Max: ids[i]})
		}
		f := m.open(t, ReadOptions{})
		rec, _ := scanAll(t, f, store.Query{Columns: []string{"id"}, Within: w}, featureTable())
		got := textsOf(rec)
		for _, i := range at {
			if !slices.Contains(got, ids[i]) {
				t.Errorf("within %v: row %d is missing", at, i)
			}
		}
		if len(got) > 25_000 || m.bytes > whole*2/3 {
			t.Errorf("within %v: %d rows and %d bytes were read, of 50000 and %d", at, len(got), m.bytes, whole)
		}
	}
	absent := &store.Within{Column: "nothing"}
	if rec, _ := scanAll(t, m.open(t, ReadOptions{}), store.Query{Columns: []string{"id"}, Within: absent}, featureTable()); rec.NumRows() != 50_000 {
		t.Errorf("ranges of a column that is not there left %d rows", rec.NumRows())
	}
}
