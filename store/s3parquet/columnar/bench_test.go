package columnar

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const benchRows = 1_000_000

// featureTable is a schema like that of a feature with three fields.
func featureTable() *arrow.Schema {
	fields := arrow.StructOf(field("default", arrow.BinaryTypes.String), field("audio", arrow.BinaryTypes.String),
		field("frames", arrow.BinaryTypes.String))
	return arrow.NewSchema([]arrow.Field{
		field("id", arrow.BinaryTypes.String), field("path", arrow.BinaryTypes.String),
		field("metaxy_provenance_by_field", fields), field("metaxy_provenance", arrow.BinaryTypes.String),
		field("metaxy_data_version_by_field", fields), field("metaxy_data_version", arrow.BinaryTypes.String),
		field("metaxy_feature_version", arrow.BinaryTypes.String), field("metaxy_project_version", arrow.BinaryTypes.String),
		field("metaxy_created_at", timestampUTC), field("metaxy_updated_at", timestampUTC),
		field("metaxy_deleted_at", timestampUTC), field("metaxy_materialization_id", arrow.BinaryTypes.String),
	}, nil)
}

// featureRows makes rows of a feature table, with ids that ascend.
func featureRows(first, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, featureTable())
	hash := func(i, salt int) string { return fmt.Sprintf("%020d", uint64(i*7+salt+1)*0x9E3779B97F4A7C15) }
	text := func(c int, s string) { b.Field(c).(*array.StringBuilder).Append(s) }
	for i := first; i < first+n; i++ {
		text(0, fmt.Sprintf("video-%08d", i))
		text(1, fmt.Sprintf("s3://bucket/videos/2026/%08d.mp4", i))
		for _, c := range []int{2, 4} {
			s := b.Field(c).(*array.StructBuilder)
			s.Append(true)
			for j := range 3 {
				s.FieldBuilder(j).(*array.StringBuilder).Append(hash(i, j))
			}
		}
		text(3, hash(i, 4))
		text(5, hash(i, 5))
		text(6, "a3f5b9c1d2e4f607")
		text(7, "0123456789abcdef")
		b.Field(8).(*array.TimestampBuilder).Append(arrow.Timestamp(1_790_000_000_000_000 + i/1000))
		b.Field(9).(*array.TimestampBuilder).Append(arrow.Timestamp(1_790_000_000_000_000 + i/1000))
		b.Field(10).AppendNull()
		text(11, "run-"+fmt.Sprint(i/100_000))
	}
	return b.NewRecordBatch()
}

func featureFile(b testing.TB, rows int) []byte {
	b.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, featureTable(), WriterOptions{SortedBy: []string{"id"}})
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < rows; i += 50_000 {
		if err := w.Write(featureRows(i, min(50_000, rows-i))); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkScan reads what a resolve reads: ids, two members, two timestamps, of one version.
func BenchmarkScan(b *testing.B) {
	file := featureFile(b, benchRows)
	q := store.Query{
		Columns: []string{"id", "metaxy_data_version_by_field", "metaxy_updated_at", "metaxy_deleted_at"},
		Members: map[string][]string{"metaxy_data_version_by_field": {"audio", "frames"}},
		Where:   []store.Equal{{Column: "metaxy_feature_version", Value: "a3f5b9c1d2e4f607"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		rows := int64(0)
		for batch, err := range f.Scan(b.Context(), q, 0, featureTable()) {
			if err != nil {
				b.Fatal(err)
			}
			rows += batch.NumRows()
		}
		if rows != benchRows {
			b.Fatalf("scan yields %d rows, want %d", rows, benchRows)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

// BenchmarkWrite writes a million rows of a feature table.
func BenchmarkWrite(b *testing.B) {
	var batches []arrow.RecordBatch
	for i := 0; i < benchRows; i += 50_000 {
		batches = append(batches, featureRows(i, 50_000))
	}
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewWriter(io.Discard, featureTable(), WriterOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for _, rec := range batches {
			if err := w.Write(rec); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

// BenchmarkFetch fetches a thousand rows spread over a million.
func BenchmarkFetch(b *testing.B) {
	file := featureFile(b, benchRows)
	var rows []uint32
	for i := range uint32(1000) {
		rows = append(rows, i*(benchRows/1000))
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Fetch(b.Context(), rows, nil, featureTable()); err != nil {
			b.Fatal(err)
		}
	}
}
