package engine

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// withColumn adds a column of integers that are all the same.
func withColumn(t *testing.T, rec arrow.RecordBatch, name, value string) arrow.RecordBatch {
	t.Helper()
	b := array.NewInt64Builder(memory.DefaultAllocator)
	for range rec.NumRows() {
		if err := b.AppendValueFromString(value); err != nil {
			t.Fatal(err)
		}
	}
	fields := append(rec.Schema().Fields(), arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Int64, Nullable: true})
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), append(rec.Columns()[:len(rec.Columns()):len(rec.Columns())],
		b.NewArray()), rec.NumRows())
}

// Ids of every type are in order within a group: nulls first, then by value.
func TestCompareCell(t *testing.T) {
	t.Parallel()
	tests := []struct {
		typ     arrow.DataType
		ordered []string // after a null
	}{
		{arrow.BinaryTypes.String, []string{"", "10", "9", "a", "é", "\U0001F600"}},
		{arrow.BinaryTypes.Binary, []string{"AA==", "AQ==", "/w=="}},
		{arrow.PrimitiveTypes.Int64, []string{"-9223372036854775808", "-1", "0", "9", "10", "9223372036854775807"}},
		{arrow.PrimitiveTypes.Int8, []string{"-128", "-1", "0", "127"}},
		{arrow.FixedWidthTypes.Boolean, []string{"false", "true"}},
		{arrow.PrimitiveTypes.Float64, []string{"-Inf", "-1.5", "0", "1e-9", "2", "10", "+Inf", "NaN"}},
		{arrow.PrimitiveTypes.Date32, []string{"1969-12-31", "1970-01-01", "2024-02-29"}},
		{&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, []string{"1969-12-31 00:00:00Z", "2024-01-01 00:00:00.000001Z"}},
		{&arrow.Decimal128Type{Precision: 30, Scale: 2}, []string{"-100000000000000000000.01", "-0.01", "0.00", "9.00", "10.00"}},
	}
	for _, test := range tests {
		b := array.NewBuilder(memory.DefaultAllocator, test.typ)
		b.AppendNull()
		for _, text := range test.ordered {
			if err := b.AppendValueFromString(text); err != nil {
				t.Fatalf("%s: %v", test.typ, err)
			}
		}
		c, err := cellsOf(b.NewArray())
		if err != nil {
			t.Fatal(err)
		}
		k := keyColumn{cells: c, class: classOf(test.typ)}
		for i := range len(test.ordered) + 1 {
			for j := range len(test.ordered) + 1 {
				if got := k.compareCell(i, &k, j); sign(got) != sign(i-j) {
					t.Errorf("%s: value %d against %d of %q is %d", test.typ, i, j, test.ordered, got)
				}
			}
		}
	}
}

func sign(n int) int { return int(math.Copysign(1, float64(n))) * min(1, max(n, -n)) }

// More groups than a block holds, and only a few of them in the increment.
func TestManyGroups(t *testing.T) {
	t.Parallel()
	g := &groups{members: 2}
	n := groupBlock + 3
	for i := range n {
		g.of = append(g.of, g.add([][]byte{[]byte("x" + string(rune('a'+i%26))), []byte(strings.Repeat("y", i%3))}))
	}
	picked := g.pick([]uint32{uint32(n - 1), none, 0, uint32(n - 1)})
	if picked.count != 2 || picked.of[0] != picked.of[3] || picked.of[1] != none {
		t.Errorf("%d groups, %v; want two, the first for two entries", picked.count, picked.of)
	}
	for entry, i := range map[uint32]int{0: n - 1, 2: 0, 3: n - 1} {
		for member, want := range []string{"x" + string(rune('a'+i%26)), strings.Repeat("y", i%3)} {
			if c, row := picked.text(entry, member); string(c.value(row)) != want {
				t.Errorf("entry %d, member %d: %q, want %q", entry, member, c.value(row), want)
			}
		}
	}
	if part := picked.slice(2, 4); part.of[0] != picked.of[2] || len(part.of) != 2 {
		t.Errorf("a slice has %v of %v", part.of, picked.of)
	}
}

// Only parents are read from fallback stores.
func TestResolveWithFallback(t *testing.T) {
	t.Parallel()
	far := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	far.root("a", "1 p q", "2 p q")
	far.run("t")
	near := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	near.store = store.WithFallback(near.store, far.store)
	near.expect("t", "new: 1 2")
	near.run("t")
	near.expect("t", "")
	near.root("a", "1 p q")
	near.expect("t", "orphaned: 2")
	far.expect("t", "")
}

func TestComputeProvenance(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("v/a"), xy("b"), xy("t", feature.Dep{Feature: "v/a"}, feature.Dep{Feature: "b", Optional: true}))
	byField := "struct<x:string,y:string>"
	rec := s.rows("id:string metaxy_provenance:string metaxy_data_version__b:string metaxy_provenance__v_a:string "+
		"metaxy_data_version_by_field__v_a:"+byField+" metaxy_data_version_by_field__b:"+byField,
		`{"id":"1","metaxy_data_version_by_field__v_a":{"x":"p","y":"q"},"metaxy_data_version_by_field__b":{"x":"r","y":"s"}}`,
		`{"id":"2","metaxy_data_version_by_field__v_a":{"x":"p","y":"q"},"metaxy_data_version_by_field__b":null}`,
		`{"id":"3","metaxy_data_version_by_field__v_a":{"x":"p","y":null},"metaxy_data_version_by_field__b":null}`)
	got, err := ComputeProvenance(s.feature("t"), rec, Hashing{})
	if err != nil {
		t.Fatal(err)
	}
	columns := []string{"id", "metaxy_provenance", "metaxy_data_version__b", "metaxy_provenance_by_field",
		"metaxy_data_version", "metaxy_data_version_by_field"}
	if g := fieldNames(got.Schema()); strings.Join(g, " ") != strings.Join(columns, " ") {
		t.Errorf("columns %q, want %q", g, columns)
	}
	s.root("v/a", "1 p q", "2 p q")
	s.root("b", "1 r s")
	want := map[any]refRow{}
	for _, row := range goRows(collect(t, s.resolve("t").Batches(context.Background(), New, nil, 0))...) {
		want[row["id"]] = row
	}
	for i, row := range goRows(got) {
		switch w := want[row["id"]]; {
		case w != nil && (row["metaxy_provenance"] != w["metaxy_provenance"] || row["metaxy_data_version"] != w["metaxy_provenance"]):
			t.Errorf("row %d has the version %v, and %v when it is resolved", i, row["metaxy_provenance"], w["metaxy_provenance"])
		case w == nil && (row["metaxy_provenance"] != nil || row["metaxy_provenance_by_field"].(refRow)["x"] == nil):
			t.Errorf("row %d without a version of y: %v", i, row)
		}
	}
	if _, err := ComputeProvenance(s.feature("b"), rec, Hashing{}); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("error %v for a root, want one that names it", err)
	}
}
