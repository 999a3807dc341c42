package store_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// jsonRows reads a batch from a list of JSON objects.
func jsonRows(t *testing.T, s *arrow.Schema, rows string) arrow.RecordBatch {
	t.Helper()
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader(rows))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

var sortSchema = arrow.NewSchema([]arrow.Field{
	{Name: "s", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
	{Name: "row", Type: arrow.PrimitiveTypes.Int32}, {Name: "f", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
}, nil)

// TestSortRows sorts strings by bytes, integers by value beyond 2^53, nulls first, and keeps the order of equal rows.
func TestSortRows(t *testing.T) {
	t.Parallel()
	rec := jsonRows(t, sortSchema, `[
		{"s": "é", "n": 1, "row": 0}, {"s": "z", "n": 9007199254740993, "row": 1}, {"s": "z", "n": 9007199254740992, "row": 2},
		{"s": "", "n": 5, "row": 3}, {"s": null, "n": 9, "row": 4}, {"s": "z", "n": -3, "row": 5}, {"s": "z", "n": null, "row": 6},
		{"s": "Z", "n": 0, "row": 7}, {"s": "Z", "n": 0, "row": 8}, {"s": "😀", "n": 0, "row": 9}]`)
	got, by, err := store.SortRows(rec, []string{"s", "n"})
	if err != nil || !slices.Equal(by, []string{"s", "n"}) {
		t.Fatalf("sorted by %q, %v", by, err)
	}
	want := []int32{4, 3, 7, 8, 6, 5, 2, 1, 0, 9}
	if rows := got.Column(2).(*array.Int32).Int32Values(); !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
	if again, _, err := store.SortRows(got, by); err != nil || again != got {
		t.Errorf("sorted rows are copied: %v", err)
	}
}

// TestSortUndeclared leaves rows alone for which no order can be declared.
func TestSortUndeclared(t *testing.T) {
	t.Parallel()
	rec := jsonRows(t, sortSchema, `[{"s": "b", "row": 1, "f": 2}, {"s": "a", "row": 0, "f": 1}]`)
	for _, by := range [][]string{{"f"}, {"nowhere"}, {"s", "f"}} {
		got, sorted, err := store.SortRows(rec, by)
		if got != rec || sorted != nil || err != nil {
			t.Errorf("by %q: sorted by %q, %v", by, sorted, err)
		}
	}
	if store.Comparer(rec.Column(3)) != nil {
		t.Error("doubles have an order, although NaN has none")
	}
}

// TestSortOrder sorts across batches, empty ones among them, and refuses those whose columns differ in type.
func TestSortOrder(t *testing.T) {
	t.Parallel()
	batches := []arrow.RecordBatch{
		jsonRows(t, sortSchema, `[{"s": "b", "row": 0}, {"s": "d", "row": 1}]`),
		jsonRows(t, sortSchema, `[]`),
		jsonRows(t, sortSchema, `[{"s": "a", "row": 0}, {"s": "b", "row": 1}, {"s": "c", "row": 2}]`),
	}
	got, ok := store.SortOrder(batches, []string{"s"})
	want := []store.RowAt{{Batch: 2}, {}, {Batch: 2, Row: 1}, {Batch: 2, Row: 2}, {Row: 1}}
	if !ok || !slices.Equal(got, want) {
		t.Errorf("got %v, %t; want %v", got, ok, want)
	}
	numbers := arrow.NewSchema([]arrow.Field{{Name: "s", Type: arrow.PrimitiveTypes.Int64}}, nil)
	if _, ok := store.SortOrder(append(batches, jsonRows(t, numbers, `[{"s": 1}]`)), []string{"s"}); ok {
		t.Error("strings and integers have an order")
	}
	if got, ok := store.SortOrder(nil, []string{"s"}); !ok || len(got) != 0 {
		t.Errorf("no batch: %v, %t", got, ok)
	}
	small := jsonRows(t, arrow.NewSchema([]arrow.Field{{Name: "i", Type: arrow.PrimitiveTypes.Int8}}, nil), `[{"i": 127}, {"i": -128}]`)
	if c := store.Comparer(small.Column(0)); c(0, 1) != 1 || c(1, 0) != -1 || c(1, 1) != 0 {
		t.Errorf("%d and %d are not compared by value", math.MaxInt8, math.MinInt8)
	}
}

// TestSortText compares the order of texts that begin alike, are the beginning of others, are null, or hold any bytes, with
// the order that Go gives them.
func TestSortText(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		prefix := strings.Repeat("video_", random.IntN(3))
		var texts []string
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for range random.IntN(100) {
			text := []byte(prefix)
			for range random.IntN(20) {
				text = append(text, "\x00\x01az\xff"[random.IntN(5)])
			}
			if random.IntN(10) == 0 {
				b.AppendNull()
				continue
			}
			b.Append(string(text))
			texts = append(texts, string(text))
		}
		col := b.NewArray()
		rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "s", Type: col.DataType(), Nullable: true}}, nil),
			[]arrow.Array{col}, int64(col.Len()))
		order, ok := store.SortOrder([]arrow.RecordBatch{rec}, []string{"s"})
		slices.Sort(texts)
		var got []string
		last := -1
		for _, at := range order[col.NullN():] {
			got = append(got, col.(*array.String).Value(int(at.Row)))
		}
		for _, at := range order[:col.NullN()] {
			if col.IsValid(int(at.Row)) || int(at.Row) < last {
				t.Errorf("row %d stands among the nulls", at.Row)
			}
			last = int(at.Row)
		}
		if !ok || !slices.Equal(got, texts) {
			t.Fatalf("got %q, want %q", got, texts)
		}
	}
}
