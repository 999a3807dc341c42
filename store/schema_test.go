package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var (
	text   = arrow.BinaryTypes.String
	utc    = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	ntz    = &arrow.TimestampType{Unit: arrow.Microsecond}
	number = arrow.PrimitiveTypes
)

func column(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

func TestStoredSchema(t *testing.T) {
	t.Parallel()
	cases := []struct {
		from, want arrow.DataType // nil: the column is left out
	}{
		{text, text},
		{arrow.BinaryTypes.LargeString, text},
		{arrow.BinaryTypes.StringView, text},
		{&arrow.DictionaryType{IndexType: number.Uint32, ValueType: arrow.BinaryTypes.LargeString}, text},
		{arrow.RunEndEncodedOf(number.Int32, number.Uint8), number.Int16},
		{number.Uint8, number.Int16},
		{number.Uint16, number.Int32},
		{number.Uint32, number.Int64},
		{number.Uint64, number.Int64},
		{arrow.FixedWidthTypes.Float16, number.Float32},
		{&arrow.FixedSizeBinaryType{ByteWidth: 16}, arrow.BinaryTypes.Binary},
		{arrow.FixedWidthTypes.Date64, arrow.FixedWidthTypes.Date32},
		{&arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "Asia/Tokyo"}, utc},
		{&arrow.TimestampType{Unit: arrow.Second}, ntz},
		{&arrow.Decimal256Type{Precision: 38, Scale: 3}, &arrow.Decimal128Type{Precision: 38, Scale: 3}},
		{&arrow.Decimal64Type{Precision: 12, Scale: 3}, &arrow.Decimal128Type{Precision: 12, Scale: 3}},
		{arrow.FixedSizeListOf(3, number.Uint8), arrow.ListOf(number.Int16)},
		{arrow.LargeListOf(arrow.ListViewOf(text)), arrow.ListOf(arrow.ListOf(text))},
		{arrow.MapOf(arrow.BinaryTypes.LargeString, number.Uint8), arrow.MapOf(text, number.Int16)},
		{arrow.StructOf(column("a", number.Uint8), column("b", arrow.Null)), arrow.StructOf(column("a", number.Int16))},
		{arrow.Null, nil},
		{arrow.ListOf(arrow.Null), nil},
		{arrow.MapOf(text, arrow.Null), nil},
		{arrow.StructOf(), nil},
		{arrow.StructOf(column("a", arrow.ListOf(arrow.StructOf()))), nil},
	}
	for _, c := range cases {
		got, err := store.StoredSchema(arrow.NewSchema([]arrow.Field{column("c", c.from)}, nil))
		if err != nil {
			t.Errorf("%s: %v", c.from, err)
			continue
		}
		var fields []arrow.Field
		if c.want != nil {
			fields = append(fields, column("c", c.want))
		}
		if want := arrow.NewSchema(fields, nil); !got.Equal(want) {
			t.Errorf("%s is stored as %v, want %v", c.from, got, want)
		}
	}
}

func TestStoredSchemaRefuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []arrow.DataType{
		arrow.FixedWidthTypes.Time32s, arrow.FixedWidthTypes.Duration_us, arrow.FixedWidthTypes.MonthInterval,
		&arrow.Decimal256Type{Precision: 39}, arrow.ListOf(arrow.FixedWidthTypes.Time64ns),
		arrow.StructOf(column("a", text), column("a", text)),
	} {
		_, err := store.StoredSchema(arrow.NewSchema([]arrow.Field{column("c", bad)}, nil))
		if !errors.Is(err, store.ErrSchema) {
			t.Errorf("%s: %v, want ErrSchema", bad, err)
		}
	}
	twice := arrow.NewSchema([]arrow.Field{column("c", text), column("c", text)}, nil)
	if _, err := store.StoredSchema(twice); !errors.Is(err, store.ErrSchema) {
		t.Errorf("a column that occurs twice: %v, want ErrSchema", err)
	}
}

func TestMergeSchema(t *testing.T) {
	t.Parallel()
	schema := func(fields ...arrow.Field) *arrow.Schema { return arrow.NewSchema(fields, nil) }
	member := func(fields ...arrow.Field) arrow.DataType { return arrow.StructOf(fields...) }
	have := schema(column("id", text), column("n", number.Int64),
		column("by", member(column("a", text), column("deep", arrow.ListOf(member(column("x", number.Int32)))))))
	add := schema(column("new", number.Uint8), column("by", member(column("b", number.Int64),
		column("deep", arrow.ListOf(member(column("y", text), column("x", number.Int8)))))), column("n", number.Uint16))
	got, err := store.MergeSchema(have, add)
	if err != nil {
		t.Fatal(err)
	}
	want := schema(column("id", text), column("n", number.Int64), column("by", member(column("a", text),
		column("deep", arrow.ListOf(member(column("x", number.Int32), column("y", text)))), column("b", number.Int64))),
		column("new", number.Int16))
	if !got.Equal(want) {
		t.Errorf("merged schema is %v, want %v", got, want)
	}
	if again, err := store.MergeSchema(got, add); err != nil || !again.Equal(want) {
		t.Errorf("merging again gives %v, %v", again, err)
	}
	if first, err := store.MergeSchema(nil, have); err != nil || !first.Equal(have) {
		t.Errorf("merging into nothing gives %v, %v", first, err)
	}
	for _, bad := range []arrow.Field{
		column("id", number.Int64), column("n", number.Float64), column("n", text), column("by", text),
		column("by", member(column("a", number.Int64))), column("new", arrow.FixedWidthTypes.Time32s),
	} {
		if _, err := store.MergeSchema(have, schema(bad)); !errors.Is(err, store.ErrSchema) {
			t.Errorf("merging %v: %v, want ErrSchema", bad, err)
		}
	}
}

// TestConformSlices converts arrays that do not begin at their buffers' beginning.
func TestConformSlices(t *testing.T) {
	t.Parallel()
	from := arrow.NewSchema([]arrow.Field{
		column("by", arrow.StructOf(column("a", number.Int8))), column("list", arrow.ListOf(number.Int8)),
		column("map", arrow.MapOf(text, number.Int8)), column("fixed", arrow.FixedSizeListOf(2, number.Int8)),
		column("dict", &arrow.DictionaryType{IndexType: number.Int8, ValueType: text}),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, from)
	lines := `{"by":{"a":1},"list":[1],"map":[{"key":"k","value":1}],"fixed":[1,2],"dict":"x"}
{"by":null,"list":null,"map":null,"fixed":null,"dict":null}
{"by":{"a":3},"list":[3,null],"map":[{"key":"l","value":null}],"fixed":[3,4],"dict":"y"}`
	for _, line := range strings.Split(lines, "\n") {
		if err := b.UnmarshalJSON([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	to := arrow.NewSchema([]arrow.Field{
		column("dict", text), column("by", arrow.StructOf(column("z", text), column("a", number.Int64))),
		column("list", arrow.ListOf(number.Int64)), column("map", arrow.MapOf(text, number.Int64)),
		column("fixed", arrow.ListOf(number.Int64)), column("more", utc),
	}, nil)
	got, err := store.Conform(b.NewRecordBatch().NewSlice(1, 3), to)
	if err != nil {
		t.Fatal(err)
	}
	json, err := got.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"by":null,"dict":null,"fixed":null,"list":null,"map":null,"more":null}
,{"by":{"a":3,"z":null},"dict":"y","fixed":[3,4],"list":[3,null],"map":[{"key":"l","value":null}],"more":null}
]`
	if string(json) != want {
		t.Errorf("got %s, want %s", json, want)
	}
	if _, err := store.Conform(got, from); !errors.Is(err, store.ErrSchema) {
		t.Errorf("narrowing: %v, want ErrSchema", err)
	}
}

func TestTake(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{
		column("s", text), column("b", arrow.FixedWidthTypes.Boolean), column("n", number.Int16),
		column("l", arrow.ListOf(arrow.StructOf(column("x", text)))),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for _, line := range []string{
		`{"s":"dropped","b":true,"n":0,"l":[]}`, `{"s":"a","b":true,"n":1,"l":[{"x":"p"},null]}`,
		`{"s":null,"b":null,"n":null,"l":null}`, `{"s":"🎬","b":false,"n":3,"l":[{"x":null}]}`,
	} {
		if err := b.UnmarshalJSON([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Take(b.NewRecordBatch().NewSlice(1, 4), []int{2, -1, 0, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	json, err := got.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"b":false,"l":[{"x":null}],"n":3,"s":"🎬"}
,{"b":null,"l":null,"n":null,"s":null}
,{"b":true,"l":[{"x":"p"},null],"n":1,"s":"a"}
,{"b":true,"l":[{"x":"p"},null],"n":1,"s":"a"}
,{"b":null,"l":null,"n":null,"s":null}
]`
	if string(json) != want {
		t.Errorf("got %s, want %s", json, want)
	}
}
