package store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// TestStructBecomesMap appends rows with a struct to a table that has a map: each member becomes an entry, a null one too,
// and a null struct a null map, also where the rows are part of a larger batch.
func TestStructBecomesMap(t *testing.T) {
	t.Parallel()
	members := arrow.StructOf(column("b", text), column("a", arrow.BinaryTypes.LargeString))
	rows := arrow.NewSchema([]arrow.Field{column("v", members), column("n", number.Int64)}, nil)
	table := arrow.NewSchema([]arrow.Field{column("n", number.Int64), column("v", arrow.MapOf(text, text))}, nil)
	merged, err := store.MergeSchema(table, rows)
	if err != nil || !merged.Equal(table) {
		t.Fatalf("merged to %s, %v", merged, err)
	}
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, rows, strings.NewReader(`[{"v":{"b":"x","a":"y"},"n":1},
		{"v":{"b":null,"a":"z"},"n":2}, {"v":null,"n":3}, {"v":{"b":"","a":null},"n":4}]`))
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range []string{
		`[{"n":1,"v":[{"key":"b","value":"x"},{"key":"a","value":"y"}]},{"n":2,"v":[{"key":"b","value":null},{"key":"a","value":"z"}]},{"n":3,"v":null},{"n":4,"v":[{"key":"b","value":""},{"key":"a","value":null}]}]`,
		`[{"n":2,"v":[{"key":"b","value":null},{"key":"a","value":"z"}]},{"n":3,"v":null},{"n":4,"v":[{"key":"b","value":""},{"key":"a","value":null}]}]`,
		`[{"n":3,"v":null},{"n":4,"v":[{"key":"b","value":""},{"key":"a","value":null}]}]`,
		`[{"n":4,"v":[{"key":"b","value":""},{"key":"a","value":null}]}]`,
		`[]`,
	} {
		got, err := store.Conform(rec.NewSlice(int64(from), rec.NumRows()), table)
		if err != nil {
			t.Fatal(err)
		}
		text, err := got.MarshalJSON()
		if err != nil || compact(t, text) != want {
			t.Errorf("from row %d: %s, %v\nwant %s", from, text, err, want)
		}
		if err := got.Column(1).(*array.Map).Validate(); err != nil {
			t.Errorf("from row %d: %v", from, err)
		}
	}
	for name, other := range map[string]arrow.DataType{
		"a number": arrow.StructOf(column("a", number.Int64)), "a list": arrow.ListOf(text), "a text": text,
	} {
		bad := arrow.NewSchema([]arrow.Field{column("v", other)}, nil)
		if _, err := store.MergeSchema(table, bad); !errors.Is(err, store.ErrSchema) {
			t.Errorf("%s: %v, want ErrSchema", name, err)
		}
	}
	if _, err := store.MergeSchema(rows, table); !errors.Is(err, store.ErrSchema) {
		t.Errorf("a map into a struct: %v, want ErrSchema", err)
	}
}

// compact is JSON without white space.
func compact(t *testing.T, data []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
