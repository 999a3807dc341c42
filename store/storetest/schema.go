package storetest

import (
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func newColumns(t *testing.T, s store.Store) {
	appendRows(t, s, schema("id", text, "a", int64Type), row{"id": "1", "a": 1})
	appendRows(t, s, schema("b", arrow.ListOf(text), "id", text), row{"id": "2", "b": []string{"x"}})
	appendRows(t, s, schema("id", text), row{"id": "3"})
	snap := snapshot(t, s)
	if want := schema("id", text, "a", int64Type, "b", arrow.ListOf(text)); !sameColumns(snap.Schema(), want) {
		t.Errorf("columns are %v, want %v", snap.Schema(), want)
	}
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{})),
		row{"id": "1", "a": 1}, row{"id": "2", "b": []string{"x"}}, row{"id": "3"})
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{Columns: []string{"b"}})), row{}, row{"b": []string{"x"}}, row{})
}

func newMembers(t *testing.T, s store.Store) {
	with := func(names ...any) *arrow.Schema {
		return schema("id", text, "by_field", arrow.StructOf(fields(names...)...))
	}
	appendRows(t, s, with("audio", text), row{"id": "1", "by_field": row{"audio": "a1"}}, row{"id": "1b"})
	appendRows(t, s, with("frames", text, "audio", text), row{"id": "2", "by_field": row{"audio": "a2", "frames": "f2"}})
	appendRows(t, s, with("frames", text), row{"id": "3", "by_field": row{"frames": "f3"}})
	snap := snapshot(t, s)
	if want := with("audio", text, "frames", text); !sameColumns(snap.Schema(), want) {
		t.Errorf("columns are %v, want %v", snap.Schema(), want)
	}
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{})),
		row{"id": "1", "by_field": row{"audio": "a1", "frames": nil}}, row{"id": "1b"},
		row{"id": "2", "by_field": row{"audio": "a2", "frames": "f2"}},
		row{"id": "3", "by_field": row{"audio": nil, "frames": "f3"}})
	q := store.Query{Columns: []string{"by_field"}, Members: map[string][]string{"by_field": {"frames"}}}
	sameRows(t, rowsOf(t, scan(t, snap, q)), row{"by_field": row{"frames": nil}}, row{},
		row{"by_field": row{"frames": "f2"}}, row{"by_field": row{"frames": "f3"}})
}

func typeClash(t *testing.T, s store.Store) {
	by := func(t arrow.DataType) arrow.DataType { return arrow.StructOf(fields("m", t)...) }
	have := schema("id", text, "n", int64Type, "by", by(text), "list", arrow.ListOf(int64Type))
	appendRows(t, s, have, row{"id": "1", "n": 1, "by": row{"m": "x"}, "list": []int{1}})
	for _, bad := range []*arrow.Schema{
		schema("id", int64Type), schema("n", text), schema("n", arrow.PrimitiveTypes.Float64), schema("by", text),
		schema("by", by(int64Type)), schema("list", arrow.ListOf(text)), schema("list", int64Type),
		schema("id", text, "time", arrow.FixedWidthTypes.Time64us),
	} {
		_, err := s.Append(t.Context(), key, store.Write{Rows: seq(batch(t, bad, row{}))})
		if !errors.Is(err, store.ErrSchema) {
			t.Errorf("append of %v: %v, want ErrSchema", bad, err)
		}
	}
	snap := snapshot(t, s)
	if snap.Version() != 0 || !sameColumns(snap.Schema(), have) {
		t.Errorf("refused rows changed the table: version %d, columns %v", snap.Version(), snap.Schema())
	}
}

func conversions(t *testing.T, s store.Store) {
	u := arrow.PrimitiveTypes
	first := schema("id", &arrow.DictionaryType{IndexType: u.Int8, ValueType: text}, "n", u.Uint16, "big", u.Int64,
		"f", u.Float64, "at", &arrow.TimestampType{Unit: arrow.Second, TimeZone: "Europe/Berlin"}, "s", arrow.BinaryTypes.LargeString,
		"list", arrow.LargeListOf(u.Int8))
	appendRows(t, s, first, row{"id": "a", "n": 7, "big": 1, "f": 0.5, "at": "2026-01-02 02:04:05Z", "s": "x", "list": []int{1}})
	stored := schema("id", text, "n", u.Int32, "big", u.Int64, "f", u.Float64, "at", timestampUTC, "s", text,
		"list", arrow.ListOf(u.Int8))
	if got := snapshot(t, s).Schema(); !sameColumns(got, stored) {
		t.Errorf("columns are %v, want %v", got, stored)
	}
	second := schema("s", arrow.BinaryTypes.StringView, "big", u.Int32, "n", u.Int8, "f", u.Float32,
		"at", &arrow.TimestampType{Unit: arrow.Nanosecond, TimeZone: "UTC"})
	appendRows(t, s, second, row{"s": "y", "big": -5, "n": -8, "f": 0.25, "at": "2026-01-02 03:04:05.123456789Z"})
	got := rowsOf(t, scan(t, snapshot(t, s), store.Query{}))
	sameStrings(t, column(got, "big"), []string{"1", "-5"})
	sameStrings(t, column(got, "n"), []string{"7", "-8"})
	sameStrings(t, column(got, "f"), []string{"0.5", "0.25"})
	sameStrings(t, column(got, "s"), []string{"x", "y"})
	sameStrings(t, column(got, "at"), []string{"2026-01-02T02:04:05Z", "2026-01-02T03:04:05.123456Z"})

	b := array.NewUint64Builder(memory.DefaultAllocator)
	b.Append(1 << 63)
	tooBig := array.NewRecordBatch(schema("big", u.Uint64), []arrow.Array{b.NewArray()}, 1)
	if _, err := s.Append(t.Context(), key, store.Write{Rows: seq(tooBig)}); !errors.Is(err, store.ErrSchema) {
		t.Errorf("append of 2^63 to an int64 column: %v, want ErrSchema", err)
	}
}

// untypedColumns checks columns that have only nulls and no type: they are not there until their type is known.
func untypedColumns(t *testing.T, s store.Store) {
	null := arrow.Null
	appendRows(t, s, schema("id", text, "later", null, "by", arrow.StructOf(fields("a", text, "b", null)...)),
		row{"id": "1", "by": row{"a": "x"}})
	if got, want := snapshot(t, s).Schema(), schema("id", text, "by", arrow.StructOf(fields("a", text)...)); !sameColumns(got, want) {
		t.Errorf("columns are %v, want %v", got, want)
	}
	appendRows(t, s, schema("id", text, "later", int64Type), row{"id": "2", "later": 5})
	appendRows(t, s, schema("id", null, "later", null), row{})
	sameRows(t, rowsOf(t, scan(t, snapshot(t, s), store.Query{})),
		row{"id": "1", "by": row{"a": "x"}}, row{"id": "2", "later": 5}, row{})
}
