package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func everyType(t *testing.T, s store.Store) {
	u := arrow.PrimitiveTypes
	point := arrow.StructOf(fields("x", u.Float64, "tags", arrow.ListOf(text))...)
	sc := schema("s", text, "bytes", arrow.BinaryTypes.Binary, "b", arrow.FixedWidthTypes.Boolean,
		"i8", u.Int8, "i16", u.Int16, "i32", u.Int32, "i64", u.Int64, "f32", u.Float32, "f64", u.Float64,
		"day", arrow.FixedWidthTypes.Date32, "at", timestampUTC, "clock", timestampNTZ,
		"d9", &arrow.Decimal128Type{Precision: 9, Scale: 2}, "d18", &arrow.Decimal128Type{Precision: 18},
		"d38", &arrow.Decimal128Type{Precision: 38, Scale: 10},
		"list", arrow.ListOf(text), "lists", arrow.ListOf(arrow.ListOf(u.Int32)), "struct", point,
		"points", arrow.ListOf(point), "map", arrow.MapOf(text, u.Int64), "maps", arrow.MapOf(text, arrow.ListOf(point)))
	full := row{
		"s": "x", "bytes": "AP8=", "b": true, "i8": -128, "i16": -32768, "i32": -2147483648,
		"i64": -9007199254740993, "f32": 1.5, "f64": -0.1, "day": "1969-12-31", "at": "2026-09-23 18:07:35.123456Z",
		"clock": "0001-01-01 00:00:00.000001", "d9": "-1234567.89", "d18": "999999999999999999",
		"d38":  "1234567890123456789012345678.0123456789",
		"list": []any{"a", nil, ""}, "lists": []any{[]any{1, nil}, nil, []any{}},
		"struct": row{"x": 1, "tags": []string{}}, "points": []any{row{"x": nil, "tags": []string{"t"}}, nil},
		"map":  []any{row{"key": "k", "value": 1}, row{"key": "", "value": nil}},
		"maps": []any{row{"key": "k", "value": []any{row{"x": 2, "tags": nil}}}},
	}
	empty := row{"s": "", "list": []any{}, "lists": []any{}, "map": []any{}, "points": []any{},
		"struct": row{"x": nil, "tags": nil}, "bytes": ""}
	rec := batch(t, sc, full, row{}, empty)
	if _, err := s.Append(t.Context(), key, store.Write{Rows: seq(rec)}); err != nil {
		t.Fatal(err)
	}
	snap := snapshot(t, s)
	if !sameColumns(snap.Schema(), sc) {
		t.Errorf("columns are %v, want %v", snap.Schema(), sc)
	}
	got := scan(t, snap, store.Query{})
	sameRows(t, rowsOf(t, got), rowsOfRecord(t, rec)...)
	fetched, err := snap.Fetch(t.Context(), refs(got), nil)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, rowsOfRecord(t, fetched), rowsOfRecord(t, rec)...)
}

// nasty is values that break what quotes, cuts or compares carelessly.
var nasty = []string{"", " ", "O'Neil", `"quoted"`, "new\nline\r", "nul\x00byte", "🎬 emoji", "a/../b", "%2F", "ÿ", "null",
	"\U0010FFFF", strings.Repeat("long ", 20_000), strings.Repeat("🎬", 40)}

func nastyValues(t *testing.T, s store.Store) {
	sc := schema("id", text, `co"l 'umn🎬`, text, "struct", arrow.StructOf(fields("a.b", text, "a/b", text)...))
	var rows []row
	for i, v := range nasty {
		rows = append(rows, row{"id": v, `co"l 'umn🎬`: nasty[len(nasty)-1-i], "struct": row{"a.b": v, "a/b": nil}})
	}
	appendRows(t, s, sc, rows...)
	snap := snapshot(t, s)
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{})), rows...)
	for i, v := range nasty {
		got := scan(t, snap, store.Query{Where: []store.Equal{{Column: "id", Value: v}}})
		sameRows(t, rowsOf(t, got), rows[i])
		got = scan(t, snap, store.Query{Columns: []string{"id"}, Where: []store.Equal{{Column: `co"l 'umn🎬`, Value: v}}})
		sameRows(t, rowsOf(t, got), row{"id": nasty[len(nasty)-1-i]})
	}
}

// numbered makes n rows whose id is their number, with one version for each thousand and a null now and then.
func numbered(first, n int) arrow.RecordBatch {
	sc := schema("id", text, "version", text, "n", int64Type, "list", arrow.ListOf(int64Type))
	b := array.NewRecordBuilder(memory.DefaultAllocator, sc)
	for i := first; i < first+n; i++ {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("id-%07d", i))
		if i%10 == 9 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(fmt.Sprintf("v%d", i/1000))
		}
		b.Field(2).(*array.Int64Builder).Append(int64(i))
		l := b.Field(3).(*array.ListBuilder)
		l.Append(true)
		for j := range i % 3 {
			l.ValueBuilder().(*array.Int64Builder).Append(int64(i + j))
		}
	}
	return b.NewRecordBatch()
}

func manyRows(t *testing.T, s store.Store) {
	const n = 150_000
	w := store.Write{Rows: seq(numbered(0, 70_000), numbered(70_000, n-70_000)), SortedBy: []string{"id"}}
	c, err := s.Append(t.Context(), key, w)
	if err != nil {
		t.Fatal(err)
	}
	if c.Rows != n {
		t.Errorf("commit has %d rows, want %d", c.Rows, n)
	}
	snap := snapshot(t, s)
	i := int64(0)
	for _, b := range scan(t, snap, store.Query{Columns: []string{"n", "list"}}) {
		for j, v := range b.Column(0).(*array.Int64).Int64Values() {
			start, end := b.Column(1).(*array.List).ValueOffsets(j)
			if v != i || end-start != i%3 {
				t.Fatalf("row %d has number %d and %d elements", i, v, end-start)
			}
			i++
		}
	}
	if i != n {
		t.Errorf("scan yields %d rows, want %d", i, n)
	}
	some := scan(t, snap, store.Query{Columns: []string{"n"}, Where: []store.Equal{{Column: "version", Value: "v77"}}})
	got := column(rowsOf(t, some), "n")
	if len(got) != 900 || got[0] != "77000" || got[899] != "77998" {
		t.Errorf("version v77 has %d rows, want 900 from 77000 to 77998", len(got))
	}
}
