package columnar

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// foreignTable is the columns of the files that testdata/generate.py writes.
func foreignTable() *arrow.Schema {
	return arrow.NewSchema([]arrow.Field{
		field("id", arrow.BinaryTypes.String), field("version", arrow.BinaryTypes.String),
		field("n", arrow.PrimitiveTypes.Int64), field("i", arrow.PrimitiveTypes.Int32), field("f", arrow.PrimitiveTypes.Float64),
		field("yes", arrow.FixedWidthTypes.Boolean), field("day", arrow.FixedWidthTypes.Date32), field("at", timestampUTC),
		field("price", &arrow.Decimal128Type{Precision: 12, Scale: 2}),
		field("by_field", arrow.StructOf(field("audio", arrow.BinaryTypes.String), field("frames", arrow.BinaryTypes.String))),
		field("tags", arrow.ListOf(arrow.BinaryTypes.String)),
		field("grid", arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64))),
	}, nil)
}

// foreignRows is what the files have.
func foreignRows(t *testing.T) []map[string]any {
	t.Helper()
	file, err := os.Open("testdata/rows.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var rows []map[string]any
	for lines := bufio.NewScanner(file); lines.Scan(); {
		rows = append(rows, decodeRow(t, lines.Bytes()))
	}
	return rows
}

func decodeRow(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var row map[string]any
	if err := json.Unmarshal(line, &row); err != nil {
		t.Fatal(err)
	}
	return row
}

func jsonRows(t *testing.T, rec arrow.RecordBatch) []map[string]any {
	t.Helper()
	all, err := rec.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(all, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestForeignFiles reads what pyarrow, Polars and delta-rs write, whole and row by row.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) < 20 {
		t.Fatalf("there are %d files in testdata: %v", len(files), err)
	}
	want := foreignRows(t)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".parquet"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f := openBytes(t, ReadOptions{BatchRows: 70}, data)
			if !f.Schema().Equal(foreignTable()) {
				t.Errorf("schema is %v, want %v", f.Schema(), foreignTable())
			}
			want := want
			if strings.Contains(name, "millis") {
				want = cutToMillis(want)
			}
			got, _ := scanAll(t, f, store.Query{}, foreignTable())
			sameJSON(t, jsonRows(t, got), want)

			b, err := bind(f.root, foreignTable())
			if err != nil {
				t.Fatal(err)
			}
			for i := range f.groups {
				g := &f.groups[i]
				for row := int64(0); row < g.rows; row += 7 {
					got, err := fetchRows(f, g, b, []rowRange{{row, row + 1}})
					if err != nil {
						t.Fatal(err)
					}
					sameJSON(t, jsonRows(t, got), want[g.first+row:g.first+row+1])
				}
			}
			where := store.Query{Columns: []string{"id"}, Where: []store.Equal{{Column: "version", Value: "v1"}}}
			if got, rows := scanAll(t, f, where, foreignTable()); len(rows) != 90 || rows[0] != 100 || rows[89] != 198 {
				t.Errorf("version v1 has rows %v, %v", rows, got)
			}
		})
	}
}

// TestForeignEmptyFiles reads files without rows: pyarrow writes a row group for none, whose columns lie nowhere.
func TestForeignEmptyFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/empty/*.parquet")
	if err != nil || len(files) < 2 {
		t.Fatalf("there are %d files in testdata/empty: %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f := openBytes(t, ReadOptions{}, data)
		if !f.Schema().Equal(foreignTable()) || f.NumRows() != 0 {
			t.Errorf("%s: %d rows, schema %v", name, f.NumRows(), f.Schema())
		}
		if _, rows := scanAll(t, f, store.Query{}, foreignTable()); len(rows) > 0 {
			t.Errorf("%s: a scan finds rows %v", name, rows)
		}
	}
}

// fetchRows reads rows through the page index if there is one, however small the file.
func fetchRows(f *File, g *rowGroup, b *binding, ranges []rowRange) (arrow.RecordBatch, error) {
	var reads readAhead
	defer reads.close()
	if err := f.openLeaves(g, b.leaves, ranges, true, &reads); err != nil {
		return nil, err
	}
	if err := fillLeaves(b.leaves, ranges); err != nil {
		return nil, err
	}
	return b.record(int(countRows(ranges)))
}

func cutToMillis(rows []map[string]any) []map[string]any {
	var out []map[string]any
	for _, r := range rows {
		line, _ := json.Marshal(r)
		var c map[string]any
		_ = json.Unmarshal(bytes.ReplaceAll(line, []byte(".123456Z"), []byte(".123Z")), &c)
		out = append(out, c)
	}
	return out
}

func sameJSON(t *testing.T, got, want []map[string]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("row %d is\n%v, want\n%v", i, got[i], want[i])
		}
	}
}
