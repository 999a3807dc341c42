package columnar

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, nulls := range []float64{0, 0.1, 0.7, 1} {
		for _, rows := range []int{1, 7, 8, 9, 1000, 45_000} {
			t.Run(fmt.Sprintf("nulls=%v/rows=%d", nulls, rows), func(t *testing.T) {
				t.Parallel()
				want := newGenerator(uint64(rows), nulls).batch(everyType(), rows)
				file, stats := encode(t, WriterOptions{RowGroupRows: 17_000}, want)
				if stats.Rows != int64(rows) {
					t.Errorf("Stats.Rows = %d, want %d", stats.Rows, rows)
				}
				f := openBytes(t, ReadOptions{}, file)
				if !f.Schema().Equal(everyType()) {
					t.Errorf("schema is %v, want %v", f.Schema(), everyType())
				}
				got, positions := scanAll(t, f, store.Query{}, everyType())
				sameRows(t, got, want)
				for i, p := range positions {
					if int(p) != i {
						t.Fatalf("row %d has position %d", i, p)
					}
				}
			})
		}
	}
}

// TestArrowReadsOurs has Arrow's own reader read what we write.
func TestArrowReadsOurs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		nulls    float64
		byLength bool
	}{{0, false}, {0.2, false}, {0, true}, {0.2, true}} {
		want := newGenerator(5, c.nulls).batch(everyType(), 30_000)
		data, _ := encode(t, WriterOptions{RowGroupRows: 11_000, SortedBy: []string{"id"}, ByLength: c.byLength}, want)
		r, err := file.NewParquetReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		a, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{BatchSize: 1 << 20}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		table, err := a.ReadTable(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var parts []arrow.RecordBatch
		for tr := array.NewTableReader(table, 1<<20); tr.Next(); {
			rec, err := store.Conform(tr.RecordBatch(), everyType())
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, rec)
		}
		sameRows(t, concat(t, parts), want)
	}
}

// TestWeReadArrows reads what Arrow's own writer writes, in many forms.
func TestWeReadArrows(t *testing.T) {
	t.Parallel()
	forms := map[string][]parquet.WriterProperty{
		"defaults":     nil,
		"plain":        {parquet.WithDictionaryDefault(false)},
		"v2 pages":     {parquet.WithDataPageVersion(parquet.DataPageV2)},
		"v2 zstd":      {parquet.WithDataPageVersion(parquet.DataPageV2), parquet.WithCompression(compress.Codecs.Zstd)},
		"snappy":       {parquet.WithCompression(compress.Codecs.Snappy)},
		"gzip":         {parquet.WithCompression(compress.Codecs.Gzip)},
		"brotli":       {parquet.WithCompression(compress.Codecs.Brotli)},
		"lz4 raw":      {parquet.WithCompression(compress.Codecs.Lz4Raw)},
		"small pages":  {parquet.WithDataPageSize(512), parquet.WithBatchSize(64)},
		"page index":   {parquet.WithPageIndexEnabled(true), parquet.WithDataPageSize(2048)},
		"small dict":   {parquet.WithDictionaryPageSizeLimit(256)},
		"many groups":  {parquet.WithMaxRowGroupLength(300)},
		"delta binary": {parquet.WithDictionaryDefault(false), parquet.WithEncodingFor("i64", parquet.Encodings.DeltaBinaryPacked), parquet.WithEncodingFor("i32", parquet.Encodings.DeltaBinaryPacked)},
		"delta bytes": {parquet.WithDictionaryDefault(false), parquet.WithEncodingFor("id", parquet.Encodings.DeltaByteArray),
			parquet.WithEncodingFor("few", parquet.Encodings.DeltaLengthByteArray)},
		"stream split": {parquet.WithDictionaryDefault(false), parquet.WithEncodingFor("f64", parquet.Encodings.ByteStreamSplit),
			parquet.WithEncodingFor("d38", parquet.Encodings.ByteStreamSplit)},
	}
	for name, props := range forms {
		for _, nulls := range []float64{0, 0.3} {
			t.Run(fmt.Sprintf("%s/nulls=%v", name, nulls), func(t *testing.T) {
				t.Parallel()
				want := newGenerator(9, nulls).batch(everyType(), 3000)
				var out bytes.Buffer
				w, err := pqarrow.NewFileWriter(everyType(), &out, parquet.NewWriterProperties(props...), pqarrow.DefaultWriterProps())
				if err != nil {
					t.Fatal(err)
				}
				if err := w.Write(want); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				got, _ := scanAll(t, openBytes(t, ReadOptions{BatchRows: 999}, out.Bytes()), store.Query{}, everyType())
				sameRows(t, got, want)
			})
		}
	}
}
