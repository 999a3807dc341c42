package columnar

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func fromJSON(t *testing.T, schema *arrow.Schema, lines ...string) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, line := range lines {
		if err := b.UnmarshalJSON([]byte(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return b.NewRecordBatch()
}

func TestStats(t *testing.T) {
	t.Parallel()
	u := arrow.PrimitiveTypes
	schema := arrow.NewSchema([]arrow.Field{
		field("s", arrow.BinaryTypes.String), field("i8", u.Int8), field("i64", u.Int64), field("f", u.Float64),
		field("yes", arrow.FixedWidthTypes.Boolean), field("day", arrow.FixedWidthTypes.Date32), field("at", timestampUTC),
		field("d9", &arrow.Decimal128Type{Precision: 9, Scale: 2}), field("d38", &arrow.Decimal128Type{Precision: 38, Scale: 1}),
		field("blob", arrow.BinaryTypes.Binary), field("by", arrow.StructOf(field("a", arrow.BinaryTypes.String))),
		field("list", arrow.ListOf(u.Int64)), field("none", arrow.BinaryTypes.String),
	}, nil)
	_, stats := encode(t, WriterOptions{RowGroupRows: 2}, fromJSON(t, schema,
		`{"s":"b","i8":-3,"i64":5,"f":-0.5,"yes":true,"day":"1969-12-31","at":"2026-01-02T03:04:05.000006Z","d9":"-1.25","d38":"99999999999999999999.5","blob":"AA==","by":{"a":"z"},"list":[1]}`,
		`{"by":null}`,
		`{"s":"","i8":4,"i64":-9223372036854775808,"f":7,"yes":false,"day":"2026-01-01","at":"1960-01-01T00:00:00Z","d9":"3.00","d38":"-99999999999999999999.5","by":{"a":null}}`,
	))
	day := func(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }
	want := map[string]ColumnStats{
		"s":    {[]string{"s"}, "", "b", 1},
		"i8":   {[]string{"i8"}, int64(-3), int64(4), 1},
		"i64":  {[]string{"i64"}, int64(math.MinInt64), int64(5), 1},
		"f":    {[]string{"f"}, -0.5, 7.0, 1},
		"yes":  {[]string{"yes"}, false, true, 1},
		"day":  {[]string{"day"}, day(1969, 12, 31), day(2026, 1, 1), 1},
		"at":   {[]string{"at"}, day(1960, 1, 1), time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), 1},
		"d9":   {[]string{"d9"}, json.Number("-1.25"), json.Number("3.00"), 1},
		"d38":  {[]string{"d38"}, json.Number("-99999999999999999999.5"), json.Number("99999999999999999999.5"), 1},
		"blob": {[]string{"blob"}, nil, nil, 2},
		"by.a": {[]string{"by", "a"}, "z", "z", 2},
		"none": {[]string{"none"}, nil, nil, 3},
	}
	if stats.Rows != 3 || len(stats.Columns) != len(want) {
		t.Errorf("there are statistics of %d rows and %d columns, want 3 and %d", stats.Rows, len(stats.Columns), len(want))
	}
	for name, w := range want {
		if got := stats.Columns[name]; !reflect.DeepEqual(got, w) {
			t.Errorf("statistics of %s are %+v, want %+v", name, got, w)
		}
	}
}

// TestNaN checks that a NaN, which has no place in an order, leaves a column without bounds.
func TestNaN(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{field("f", arrow.PrimitiveTypes.Float64), field("g", arrow.PrimitiveTypes.Float32)}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	b.Field(0).(*array.Float64Builder).AppendValues([]float64{1, math.NaN(), 3}, nil)
	b.Field(1).(*array.Float32Builder).AppendValues([]float32{0, 0, 0}, nil)
	data, stats := encode(t, WriterOptions{}, b.NewRecordBatch())
	if s := stats.Columns["f"]; s.Min != nil || s.Max != nil {
		t.Errorf("bounds of a column with a NaN are %v and %v, want none", s.Min, s.Max)
	}
	f := openBytes(t, ReadOptions{}, data)
	nan, zero := f.groups[0].chunks[0].meta, f.groups[0].chunks[1].meta
	if nan.ColumnIndexLength != 0 || nan.MetaData.Statistics.MinValue != nil {
		t.Error("the file has bounds for a column with a NaN")
	}
	low := math.Float32frombits(binary.LittleEndian.Uint32(zero.MetaData.Statistics.MinValue))
	if !math.Signbit(float64(low)) || zero.ColumnIndexLength == 0 {
		t.Errorf("the least zero is %v, want -0", low)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	text, blob := arrow.DataType(arrow.BinaryTypes.String), arrow.DataType(arrow.BinaryTypes.Binary)
	cases := []struct {
		t         arrow.DataType
		v         string
		low, high string
	}{
		{text, "short", "short", "short"},
		{text, strings.Repeat("a", 100), strings.Repeat("a", 64), strings.Repeat("a", 63) + "b"},
		{text, strings.Repeat("a", 63) + "🎬🎬", strings.Repeat("a", 63), strings.Repeat("a", 62) + "b"},
		{text, strings.Repeat("\U0010FFFF", 20), strings.Repeat("\U0010FFFF", 16), strings.Repeat("\U0010FFFF", 20)},
		{text, strings.Repeat("a", 61) + "\uD7FF" + "xx", strings.Repeat("a", 61) + "\uD7FF", strings.Repeat("a", 61) + "\uE000"},
		{blob, strings.Repeat("\xff", 100), strings.Repeat("\xff", 64), strings.Repeat("\xff", 100)},
		{blob, "a" + strings.Repeat("\xff", 100), "a" + strings.Repeat("\xff", 63), "b"},
	}
	for _, c := range cases {
		low, high := string(lowerBound(c.t, []byte(c.v))), string(upperBound(c.t, []byte(c.v)))
		if low != c.low || high != c.high {
			t.Errorf("bounds of %q are %q and %q, want %q and %q", c.v, low, high, c.low, c.high)
		}
		if low > c.v || high < c.v {
			t.Errorf("%q is not between its bounds %q and %q", c.v, low, high)
		}
	}
}

// TestEncodings checks what gets a dictionary: values that come often, and only while the dictionary is small.
func TestEncodings(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{
		field("constant", arrow.BinaryTypes.String), field("unique", arrow.BinaryTypes.String), field("growing", arrow.BinaryTypes.String),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 60_000 {
		b.Field(0).(*array.StringBuilder).Append("v1")
		b.Field(1).(*array.StringBuilder).Append(strings.Repeat("x", 10) + string(rune('a'+i%26)) + time.Unix(int64(i), 0).String())
		distinct := i % 100
		if i > 30_000 {
			distinct = i
		}
		b.Field(2).(*array.StringBuilder).Append(strings.Repeat("y", 60) + time.Unix(int64(distinct), 0).String())
	}
	want := b.NewRecordBatch()
	data, _ := encode(t, WriterOptions{}, want)
	f := openBytes(t, ReadOptions{}, data)
	encodings := func(i int) (out []format.Encoding) {
		for _, s := range f.groups[0].chunks[i].meta.MetaData.EncodingStats {
			if s.PageType == format.DataPage {
				out = append(out, s.Encoding)
			}
		}
		return out
	}
	for i, want := range [][]format.Encoding{{format.RLEDictionary}, {format.Plain}, {format.RLEDictionary, format.Plain}} {
		if got := encodings(i); !slices.Equal(got, want) {
			t.Errorf("column %s has pages of encodings %v, want %v", schema.Field(i).Name, got, want)
		}
	}
	got, _ := scanAll(t, f, store.Query{}, schema)
	sameRows(t, got, want)
}

func TestSortedBy(t *testing.T) {
	t.Parallel()
	rec := featureRows(0, 100)
	data, _ := encode(t, WriterOptions{SortedBy: []string{"id", "path"}, RowGroupRows: 30}, rec)
	f := openBytes(t, ReadOptions{}, data)
	if got := f.SortedBy(); !slices.Equal(got, []string{"id", "path"}) {
		t.Errorf("file is sorted by %q", got)
	}
	for _, g := range f.groups {
		if c := g.meta.SortingColumns; len(c) != 2 || c[0].ColumnIdx != 0 || c[1].ColumnIdx != 1 || !c[0].NullsFirst || c[0].Descending {
			t.Errorf("row group has sorting columns %+v", c)
		}
	}
	data, _ = encode(t, WriterOptions{}, rec)
	if got := openBytes(t, ReadOptions{}, data).SortedBy(); got != nil {
		t.Errorf("file of which no order was declared is sorted by %q", got)
	}
	for _, bad := range []string{"nothing", "metaxy_provenance_by_field", "default"} {
		if _, err := NewWriter(io.Discard, featureTable(), WriterOptions{SortedBy: []string{bad}}); !errors.Is(err, store.ErrSchema) {
			t.Errorf("sorted by %q: %v, want ErrSchema", bad, err)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []arrow.DataType{arrow.Null, arrow.FixedWidthTypes.Time32s, arrow.ListOf(arrow.Null)} {
		if _, err := NewWriter(io.Discard, arrow.NewSchema([]arrow.Field{field("c", bad)}, nil), WriterOptions{}); !errors.Is(err, store.ErrSchema) {
			t.Errorf("column of type %s: %v, want ErrSchema", bad, err)
		}
	}
	w, err := NewWriter(io.Discard, everyType(), WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(featureRows(0, 1)); !errors.Is(err, store.ErrSchema) {
		t.Errorf("rows of another schema: %v, want ErrSchema", err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(newGenerator(1, 0).batch(everyType(), 1)); err == nil {
		t.Error("a closed writer takes rows")
	}
}

// TestWriteErrors fails each write in turn.
func TestWriteErrors(t *testing.T) {
	t.Parallel()
	rec := featureRows(0, 3000)
	for limit := 0; ; limit += 10_000 {
		out := &limitedWriter{left: limit}
		w, err := NewWriter(out, featureTable(), WriterOptions{RowGroupRows: 1000})
		if err == nil {
			err = w.Write(rec)
		}
		if err == nil {
			_, err = w.Close()
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errDisk) {
			t.Fatalf("after %d bytes: %v, want the storage's error", limit, err)
		}
	}
}

type limitedWriter struct{ left int }

func (w *limitedWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestEmptyFile(t *testing.T) {
	t.Parallel()
	data, stats := encode(t, WriterOptions{SortedBy: []string{"id"}}, newGenerator(1, 0).batch(everyType(), 0))
	f := openBytes(t, ReadOptions{}, data)
	if stats.Rows != 0 || f.NumRows() != 0 || !f.Schema().Equal(everyType()) {
		t.Errorf("file without rows has %d rows and schema %v", f.NumRows(), f.Schema())
	}
	if got, _ := scanAll(t, f, store.Query{}, everyType()); got != nil {
		t.Errorf("scan of a file without rows yields %d", got.NumRows())
	}
	got, err := f.Fetch(t.Context(), nil, nil, everyType())
	if err != nil || got.NumRows() != 0 || !got.Schema().Equal(everyType()) {
		t.Errorf("fetch of nothing: %v, %v", got, err)
	}
}

// rewriteFooter changes what a file says of itself.
func rewriteFooter(t *testing.T, file []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	f := openBytes(t, ReadOptions{}, file)
	change(&f.meta)
	footer, err := encodeThrift(f.meta)
	if err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(file[:f.size]), footer...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), magic...)
}
