package filter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/filter"
	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
)

type vectorFile struct {
	Table struct {
		Columns [][2]string     `json:"columns"`
		Rows    json.RawMessage `json:"rows"`
	} `json:"table"`
	Cases []struct {
		Expression string `json:"expression"`
		Expected   struct {
			Rows  []int           `json:"matching_row_indexes"`
			Error json.RawMessage `json:"error"`
		} `json:"expected"`
	} `json:"cases"`
}

// TestVectors runs the conditions that real Metaxy was run with.
func TestVectors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(vectors.Dir(t), "filters.json")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && os.Getenv("METAXY_VECTORS") != "" {
		t.Logf("%s: not in this folder", path)
		return
	} else if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	rec := record(t, file)
	for _, c := range file.Cases {
		t.Run(c.Expression, func(t *testing.T) {
			t.Parallel()
			got, err := match(c.Expression, rec)
			if c.Expected.Error != nil {
				if !errors.Is(err, filter.ErrFilter) {
					t.Fatalf("got %v, %v; want an error like %s", got, err, c.Expected.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.Expected.Rows) {
				t.Errorf("got rows %v, want %v", got, c.Expected.Rows)
			}
		})
	}
}

// TestMatch has what the vectors leave open.
func TestMatch(t *testing.T) {
	t.Parallel()
	rec := record(t, parse(t, `{"table": {"columns": [["i", "int64"], ["f", "float64"], ["s", "string"], ["b", "bool"]], "rows": [
		{"i": 9007199254740993, "f": 0.5, "s": "a\"b", "b": true},
		{"i": 9007199254740992, "f": 2, "s": "😀", "b": null},
		{"i": null, "f": null, "s": null, "b": false}]}}`))
	for expression, want := range map[string][]int{
		"i = 9007199254740993":                  {0},
		"i IN (0.5, 9007199254740992)":          {1},
		"f IN (2)":                              {1},
		"i NOT IN (9007199254740992)":           {0},
		"s IN ()":                               {},
		"s IN (SELECT x FROM (SELECT 1))":       {},
		`s = 'a"b'`:                             {0},
		"s = '😀'":                               {1},
		"b OR i IS NOT NULL":                    {0, 1},
		"NOT (b AND i IS NULL)":                 {0, 1, 2},
		"b = 1":                                 {0},
		"i > f":                                 {0, 1},
		"not not b":                             {0},
		"b is not true or f isnull -- or else?": {2},
	} {
		got, err := match(expression, rec)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got %v, %v; want %v", expression, got, err, want)
		}
	}
}

func TestHostileConditions(t *testing.T) {
	t.Parallel()
	rec := record(t, parse(t, `{"table": {"columns": [["i", "int64"]], "rows": [{"i": 1}]}}`))
	for _, expression := range []string{
		strings.Repeat("(", 100_000) + "i", strings.Repeat("NOT ", 100_000) + "i", strings.Repeat("-", 100_000) + "1 = i",
		"i = 'x", `"i`, "i IN (1", "i IN (SELECT", "i = 1)", "\x00", "\xff", "i; DROP TABLE x", "i..j", "i = 1 2", "i = 1e999",
	} {
		if got, err := match(expression, rec); !errors.Is(err, filter.ErrFilter) {
			t.Errorf("%.40q: got %v, %v; want an error", expression, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"i = 1", "NOT a.b IN (1, 'x', NULL) OR \"q\"\"x\" IS NOT NULL", "f > -1.5e3 AND (b OR !c);", "x ISNULL -- y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := filter.Parse(text)
		if err != nil {
			if !errors.Is(err, filter.ErrFilter) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		if e.String() != text || len(e.Columns()) == 0 {
			t.Fatalf("parsed %q to %q with columns %v", text, e, e.Columns())
		}
	})
}

func match(expression string, rec arrow.RecordBatch) ([]int, error) {
	e, err := filter.Parse(expression)
	if err != nil {
		return nil, err
	}
	passes, err := e.Match(rec)
	rows := []int{}
	for i, ok := range passes {
		if ok {
			rows = append(rows, i)
		}
	}
	return rows, err
}

func parse(t *testing.T, text string) vectorFile {
	t.Helper()
	var file vectorFile
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// record builds the table of a file.
func record(t *testing.T, file vectorFile) arrow.RecordBatch {
	t.Helper()
	types := map[string]arrow.DataType{
		"int64": arrow.PrimitiveTypes.Int64, "string": arrow.BinaryTypes.String, "float64": arrow.PrimitiveTypes.Float64, "bool": arrow.FixedWidthTypes.Boolean,
	}
	fields := make([]arrow.Field, len(file.Table.Columns))
	for i, c := range file.Table.Columns {
		fields[i] = arrow.Field{Name: c[0], Type: types[c[1]], Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, bytes.NewReader(file.Table.Rows))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
