package s3parquet_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// sortedSamples is a table of rows in the order of their ids, about 850 to a page, with two columns that do not compress and have
// pages of their own.
func sortedSamples(rows int) arrow.RecordBatch {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String}, {Name: "version", Type: arrow.BinaryTypes.String},
		{Name: "note", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for n := range uint64(rows) {
		hard := (n + 1) * 0x9e3779b97f4a7c15
		for c, value := range []string{
			fmt.Sprintf("sample-%08d-%s", n, strings.Repeat("-", 56)), fmt.Sprintf("%016x", hard), fmt.Sprintf("%032x", hard*hard),
		} {
			b.Field(c).(*array.StringBuilder).Append(value)
		}
	}
	return b.NewRecordBatch()
}

// TestShardsReadTheirPart has each shard of a sorted table read the rows of its intervals, and fetch them. What it reads
// beside its part is the end of the file, once, and of the columns by whose pages the table was not divided those in
// which its interval begins and ends.
func TestShardsReadTheirPart(t *testing.T) {
	t.Parallel()
	const (
		rows   = 100_000
		beside = 16<<10 + 2*2*(40<<10)
	)
	dir := t.TempDir()
	w := write(sortedSamples(rows))
	w.SortedBy = []string{"id"}
	appendRows(t, openStore(t, dir, s3parquet.Options{}), "f", w)

	whole, _ := shardOf(t, dir, nil, rows)
	for _, shards := range []int{1, 2, 8, 64} {
		division, err := divider(t, openStore(t, dir, s3parquet.Options{})).Divide(t.Context(), "id", shards)
		if err != nil || division == nil {
			t.Fatalf("Divide by %d = %v, %v", shards, division, err)
		}
		for i := range shards {
			within := division.Within(i, shards)
			read, requests := shardOf(t, dir, within, rows)
			if read > whole/int64(shards)+beside {
				t.Errorf("shard %d of %d reads %d bytes of %d", i, shards, read, whole)
			}
			// The log, the end, and for each interval three columns; what is more than is kept is fetched again.
			most := 2 + 1 + 3*int64(len(division.Starts)/shards+1)
			if shards < 8 {
				most += 3 * 2
			}
			if requests > most {
				t.Errorf("shard %d of %d makes %d requests, expected at most %d", i, shards, requests, most)
			}
		}
	}
}

func divider(t *testing.T, s *s3parquet.Store) store.Divider {
	t.Helper()
	return snapshot(t, s, "f").(store.Divider)
}

// shardOf reads the rows within ranges, as a new process does that divides the table first, and fetches them in parts. It
// returns the bytes and the requests that this took, and checks that the rows are those that were written.
func shardOf(t *testing.T, dir string, within *store.Within, all int) (bytes, requests int64) {
	t.Helper()
	s := openStore(t, dir, s3parquet.Options{})
	if within != nil {
		within.Column = "id"
		if _, err := divider(t, s).Divide(t.Context(), "id", 8); err != nil {
			t.Fatal(err)
		}
	}
	snap := snapshot(t, s, "f")
	want := map[string]bool{}
	for n := range all {
		if id := fmt.Sprintf("sample-%08d-%s", n, strings.Repeat("-", 56)); within == nil || within.Has(id) {
			want[id] = true
		}
	}
	var refs []store.RowRef
	for b, err := range snap.Scan(t.Context(), store.Query{Columns: []string{"id", "version", "note"}, Within: within}) {
		if err != nil {
			t.Fatal(err)
		}
		ids := b.Column(0).(*array.String)
		if first, last := ids.Value(0), ids.Value(ids.Len()-1); within != nil && (!within.Has(first) || !within.Has(last)) {
			t.Errorf("a batch is of rows from %s to %s, which are not within the ranges", first, last)
		}
		for row := range int(b.NumRows()) {
			if id := b.Column(0).(*array.String).Value(row); want[id] {
				refs = append(refs, b.Ref(row))
				delete(want, id)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("%d rows within the ranges were not read", len(want))
	}
	for from := 0; from < min(len(refs), 3000); from += 1000 {
		rec, err := snap.Fetch(t.Context(), refs[from:min(from+1000, len(refs))], []string{"id", "note"})
		if err != nil {
			t.Fatal(err)
		}
		if id := rec.Column(0).(*array.String).Value(0); within != nil && !within.Has(id) {
			t.Errorf("fetched %s, which is not within the ranges", id)
		}
	}
	return s.Usage().BytesRead, s.Usage().Reads
}
