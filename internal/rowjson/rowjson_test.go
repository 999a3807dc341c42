package rowjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

func lines(text string) func(func([]byte) bool) {
	return slices.Values(bytes.Split([]byte(strings.TrimSpace(text)), []byte("\n")))
}

// TestNewColumns shows the types that new columns get, and that what is written is what was read.
func TestNewColumns(t *testing.T) {
	t.Parallel()
	rec, err := rowjson.ParseRows(lines(`
{"id":"a","i":9007199254740993,"f":1,"b":true,"n":null,"mixed":1,"o":{"x": [1, 2]},"metaxy_provenance_by_field":{"a_b":"1"}}
{"id":"b","f":0.5,"mixed":"one","metaxy_provenance_by_field":{"a_b":7,"c":null}}`), nil, "id")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, f := range rec.Schema().Fields() {
		types = append(types, f.Name+":"+f.Type.String())
	}
	want := []string{
		"id:utf8", "i:int64", "f:float64", "b:bool", "mixed:utf8", "o:utf8",
		"metaxy_provenance_by_field:struct<a_b: utf8 nullable, c: utf8 nullable>",
	}
	if !slices.Equal(types, want) {
		t.Errorf("types:\ngot  %q\nwant %q", types, want)
	}
	wantRows := []string{
		`{"id":"a","i":9007199254740993,"f":1.0,"b":true,"mixed":"1","o":"{\"x\":[1,2]}","metaxy_provenance_by_field":{"a_b":"1","c":null}}`,
		`{"id":"b","i":null,"f":0.5,"b":null,"mixed":"one","o":null,"metaxy_provenance_by_field":{"a_b":"7","c":null}}`,
	}
	for i, want := range wantRows {
		if got := string(rowjson.AppendRow(nil, rec, i)); got != want {
			t.Errorf("row %d:\ngot  %s\nwant %s", i, got, want)
		}
	}
}

// everyType is a table with a column of every type that is stored.
var everyType = arrow.NewSchema([]arrow.Field{
	{Name: "i8", Type: arrow.PrimitiveTypes.Int8},
	{Name: "i16", Type: arrow.PrimitiveTypes.Int16},
	{Name: "i32", Type: arrow.PrimitiveTypes.Int32},
	{Name: "i64", Type: arrow.PrimitiveTypes.Int64},
	{Name: "f32", Type: arrow.PrimitiveTypes.Float32},
	{Name: "f64", Type: arrow.PrimitiveTypes.Float64},
	{Name: "bool", Type: arrow.FixedWidthTypes.Boolean},
	{Name: "s", Type: arrow.BinaryTypes.String},
	{Name: "bin", Type: arrow.BinaryTypes.Binary},
	{Name: "d", Type: arrow.FixedWidthTypes.Date32},
	{Name: "t", Type: arrow.FixedWidthTypes.Timestamp_us},
	{Name: "ntz", Type: &arrow.TimestampType{Unit: arrow.Microsecond}},
	{Name: "dec", Type: &arrow.Decimal128Type{Precision: 20, Scale: 2}},
	{Name: "l", Type: arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64))},
	{Name: "st", Type: arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int32, Nullable: true})},
	{Name: "m", Type: arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64)},
}, nil)

// TestRoundTrip reads rows into every stored type and writes them again, to the byte.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rows := []string{
		`{"i8":-128,"i16":32767,"i32":-2147483648,"i64":-9223372036854775808,"f32":0.1,"f64":1e+300,"bool":false,"s":"\"\\\n\u0000\u2028/é🎬","bin":"AP8=","d":"1969-12-31","t":"2026-01-31T12:00:00.000001Z","ntz":"1960-01-01T00:00:00.000000Z","dec":123456789012345678.90,"l":[[1],[],null],"st":{"x":null},"m":{"":"NaN","k":-0.0}}`,
		`{"i8":null,"i16":null,"i32":null,"i64":null,"f32":"Infinity","f64":"-Infinity","bool":null,"s":null,"bin":null,"d":null,"t":null,"ntz":null,"dec":null,"l":null,"st":null,"m":null}`,
	}
	rec, err := rowjson.ParseRows(lines(strings.Join(rows, "\n")), everyType)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range rows {
		if got := string(rowjson.AppendRow(nil, rec, i)); got != want {
			t.Errorf("row %d:\ngot  %s\nwant %s", i, got, want)
		}
	}
}

// TestUnfit gives each type what it must refuse; nothing is guessed or cut.
func TestUnfit(t *testing.T) {
	t.Parallel()
	for _, row := range []string{
		`{"i8":128}`, `{"i64":9223372036854775808}`, `{"i64":1.0}`, `{"i64":"1"}`, `{"i32":true}`,
		`{"f64":"x"}`, `{"f64":1e999}`, `{"f64":9007199254740993}`, `{"f32":16777217}`, `{"bool":1}`, `{"bool":"true"}`,
		`{"bin":"*"}`, `{"bin":1}`, `{"d":"2026-02-30"}`, `{"d":1}`, `{"t":"yesterday"}`, `{"t":0}`,
		`{"t":"2026-01-31T12:00:00.0000001Z"}`, `{"dec":0.001}`, `{"dec":1e999999999}`, `{"dec":"x"}`, `{"dec":9999999999999999999}`,
		`{"l":1}`, `{"l":[1]}`, `{"st":[]}`, `{"st":{"y":1}}`, `{"st":{"x":1,"x":2}}`, `{"m":{"a":"b"}}`, `{"m":{"a":1,"a":1}}`,
		`{"s":"\ud800"}`, `{"s":1,"s":2}`, `[]`, `1`, ``, `{`, `{"a":1}{"b":2}`, "{\"s\":\"\xff\"}", `null`,
	} {
		if _, err := rowjson.ParseRows(slices.Values([][]byte{[]byte(row)}), everyType); err == nil {
			t.Errorf("%s is accepted", row)
		} else if !strings.HasPrefix(err.Error(), "row 1: ") {
			t.Errorf("%s: %v, expected the row's number", row, err)
		}
	}
}

// TestIDsHaveOneType refuses a new id column of mixed values, where 1 and "1" could be taken for one sample.
func TestIDsHaveOneType(t *testing.T) {
	t.Parallel()
	_, err := rowjson.ParseRows(lines("{\"id\":1}\n{\"id\":\"1\"}"), nil, "id")
	if !errors.Is(err, rowjson.ErrValue) || !strings.HasPrefix(err.Error(), "row 2: ") {
		t.Errorf("got %v, want ErrValue in row 2", err)
	}
	table := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}}, nil)
	if _, err := rowjson.ParseRows(lines(`{"id":1}`), table, "id"); !errors.Is(err, rowjson.ErrValue) {
		t.Errorf("a number as an id of a table of strings: got %v, want ErrValue", err)
	}
}

// TestEscapes keeps rows on one line for readers that know Unicode's separators, and mends what is not UTF-8.
func TestEscapes(t *testing.T) {
	t.Parallel()
	in := "\x00\x1f\x7f\"\\/\u0085\u2028\u2029\xff é"
	want := `"\u0000\u001f` + "\x7f" + `\"\\/\u0085\u2028\u2029\ufffd é"`
	got := string(rowjson.AppendString(nil, in))
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var back string
	if err := json.Unmarshal([]byte(got), &back); err != nil || back != strings.ToValidUTF8(in, "\ufffd") {
		t.Errorf("read back %q, %v", back, err)
	}
}

// TestWriteOtherTypes writes types that are not stored but can come from a processor.
func TestWriteOtherTypes(t *testing.T) {
	t.Parallel()
	pool := memory.DefaultAllocator
	u := array.NewUint64Builder(pool)
	u.Append(math.MaxUint64)
	ns := array.NewTimestampBuilder(pool, &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Europe/Paris"})
	ns.Append(arrow.Timestamp(time.Date(2026, 6, 1, 12, 0, 0, 999, time.UTC).UnixNano()))
	dict := array.NewDictionaryBuilder(pool, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})
	if err := dict.(*array.BinaryDictionaryBuilder).AppendString("x"); err != nil {
		t.Fatal(err)
	}
	arrays := []arrow.Array{u.NewArray(), ns.NewArray(), dict.NewArray(), array.NewNull(1)}
	want := []string{"18446744073709551615", `"2026-06-01T12:00:00.000000Z"`, `"x"`, "null"}
	for i, arr := range arrays {
		if got := string(rowjson.AppendValue(nil, arr, 0)); got != want[i] {
			t.Errorf("%s: got %s, want %s", arr.DataType(), got, want[i])
		}
	}
}

// FuzzParseRows checks that no input crashes the parser, and that an accepted row is written as JSON that reads back
// to the same bytes.
func FuzzParseRows(f *testing.F) {
	for _, seed := range []string{
		`{"id":"a","i64":1,"t":"2026-01-31T12:00:00Z","metaxy_provenance_by_field":{"a":"1"}}`, `{"l":[[1],null],"m":{"a":1}}`,
		`{"x":[1,{"y":"\u2028"}],"dec":-0.50}`, ` { "s" : "\ud83c\udfac" } `, `{"d":"0001-01-01","bin":""}`, `{`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, row []byte) {
		rec, err := rowjson.ParseRows(slices.Values([][]byte{row}), everyType, "id")
		if err != nil {
			return
		}
		once := rowjson.AppendRow(nil, rec, 0)
		if !json.Valid(once) || bytes.ContainsAny(once, "\n\r") {
			t.Fatalf("%q is written as %q", row, once)
		}
		again, err := rowjson.ParseRows(slices.Values([][]byte{once}), rec.Schema(), "id")
		if err != nil {
			t.Fatalf("%q, written as %q, is refused: %v", row, once, err)
		}
		if twice := rowjson.AppendRow(nil, again, 0); !bytes.Equal(once, twice) {
			t.Fatalf("%q is written as %q, then as %q", row, once, twice)
		}
	})
}

func BenchmarkAppendRow(b *testing.B) {
	rec, err := rowjson.ParseRows(lines(`{"id":"video_000001","size":123456,"path":"a/b.mp4","metaxy_provenance_by_field":{"audio":"1","frames":"2"}}`), nil)
	if err != nil {
		b.Fatal(err)
	}
	e, dst := rowjson.NewEncoder(rec.Schema()), []byte(nil)
	b.ReportAllocs()
	for b.Loop() {
		dst = e.AppendRow(dst[:0], rec, 0)
	}
}
