package store_test

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// TestSame tells columns over the same memory, nested ones too, from those that are only equal, and from other rows of them.
func TestSame(t *testing.T) {
	t.Parallel()
	rec := jsonRows(t, sortSchema, `[{"s": "a", "n": 1, "row": 0}, {"s": "a", "n": 1, "row": 1}, {"s": "a", "n": 1, "row": 2}]`)
	again := jsonRows(t, sortSchema, `[{"s": "a", "n": 1, "row": 0}, {"s": "a", "n": 1, "row": 1}, {"s": "a", "n": 1, "row": 2}]`)
	structs := func(members ...arrow.Array) arrow.Array {
		st, err := array.NewStructArray(members, []string{"x", "y"}[:len(members)])
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	s, n := rec.Column(0), rec.Column(1)
	slice := func(a arrow.Array, from, to int64) arrow.Array { return array.NewSlice(a, from, to) }
	both := structs(s, n)
	for name, c := range map[string]struct {
		a, b arrow.Array
		want bool
	}{
		"itself":                {s, s, true},
		"equal":                 {s, again.Column(0), false},
		"other":                 {s, n, false},
		"slices":                {slice(s, 1, 3), slice(s, 1, 3), true},
		"other rows":            {slice(s, 0, 2), slice(s, 1, 3), false},
		"fewer rows":            {s, slice(s, 0, 2), false},
		"structs":               {slice(both, 0, 2), slice(both, 0, 2), true},
		"structs of them":       {both, structs(s, n), true},
		"equal members":         {both, structs(s, again.Column(1)), false},
		"fewer members":         {both, structs(s), false},
		"other members":         {both, structs(n, s), false},
		"nothing":               {slice(s, 0, 0), slice(n, 0, 0), false},
		"same bytes other type": {s, retyped(s, arrow.BinaryTypes.Binary), false},
	} {
		if got := store.Same(c.a, c.b); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// retyped is an array over the memory of another one.
func retyped(a arrow.Array, t arrow.DataType) arrow.Array {
	d := a.Data()
	return array.MakeFromData(array.NewData(t, d.Len(), d.Buffers(), nil, d.NullN(), d.Offset()))
}

// TestTakeSame takes rows of columns that are one, and of others, all with the values that they have by themselves.
func TestTakeSame(t *testing.T) {
	t.Parallel()
	rec := jsonRows(t, sortSchema, `[{"s": "a", "n": 1, "row": 0}, {"s": null, "n": null, "row": 1}, {"s": "c", "n": 3, "row": 2}]`)
	var fields []arrow.Field
	var cols []arrow.Array
	for _, i := range []int{0, 1, 0, 2, 1, 0} {
		f := rec.Schema().Field(i)
		f.Name += string(rune('a' + len(fields)))
		fields, cols = append(fields, f), append(cols, rec.Column(i))
	}
	fields, cols = append(fields, arrow.Field{Name: "copy", Type: arrow.BinaryTypes.String, Nullable: true}), append(cols, copied(t, rec.Column(0)))
	rows := []int{2, -1, 0, 1, 2}
	got, err := store.Take(array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, 3), rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, col := range cols {
		want, err := store.TakeArray(col, rows)
		if err != nil {
			t.Fatal(err)
		}
		if !array.Equal(want, got.Column(i)) {
			t.Errorf("column %d: %s, want %s", i, got.Column(i), want)
		}
	}
	if !store.Same(got.Column(0), got.Column(2)) || store.Same(got.Column(0), got.Column(6)) {
		t.Error("what was the same is no more, or what was not is now")
	}
}

// copied is an array with memory of its own.
func copied(t *testing.T, a arrow.Array) arrow.Array {
	t.Helper()
	c, err := array.Concatenate([]arrow.Array{a, array.NewSlice(a, 0, 0)}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
