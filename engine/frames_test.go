package engine

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A testFrame is a table as the vectors write it.
type testFrame struct {
	Columns [][2]string
	Rows    []json.RawMessage
}

// record turns the frame into a batch of exactly the types it names.
func (f *testFrame) record(t testing.TB) arrow.RecordBatch {
	t.Helper()
	fields := make([]arrow.Field, len(f.Columns))
	for i, c := range f.Columns {
		fields[i] = arrow.Field{Name: c[0], Type: testType(t, c[1]), Nullable: true}
	}
	rows, err := json.Marshal(f.Rows)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Rows) == 0 {
		rows = []byte("[]")
	}
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema(fields, nil), strings.NewReader(string(rows)))
	if err != nil {
		t.Fatalf("rows of a test frame: %v", err)
	}
	return rec
}

func testType(t testing.TB, name string) arrow.DataType {
	t.Helper()
	simple := map[string]arrow.DataType{
		"string": arrow.BinaryTypes.String, "int64": arrow.PrimitiveTypes.Int64, "int32": arrow.PrimitiveTypes.Int32,
		"float64": arrow.PrimitiveTypes.Float64, "bool": arrow.FixedWidthTypes.Boolean, "date": arrow.FixedWidthTypes.Date32,
		"timestamp": testTime, "null": arrow.Null, "binary": arrow.BinaryTypes.Binary, "float32": arrow.PrimitiveTypes.Float32,
		"int16": arrow.PrimitiveTypes.Int16, "decimal": &arrow.Decimal128Type{Precision: 20, Scale: 2},
	}
	if typ, ok := simple[name]; ok {
		return typ
	}
	if inner, ok := strings.CutPrefix(name, "list<"); ok {
		return arrow.ListOf(testType(t, strings.TrimSuffix(inner, ">")))
	}
	inner, ok := strings.CutPrefix(name, "struct<")
	if !ok {
		t.Fatalf("a test frame has a column of type %q", name)
	}
	var fields []arrow.Field
	for _, m := range testMembers(strings.TrimSuffix(inner, ">")) {
		member, typ, _ := strings.Cut(m, ":")
		fields = append(fields, arrow.Field{Name: member, Type: testType(t, typ), Nullable: true})
	}
	return arrow.StructOf(fields...)
}

// testMembers splits "a:int64,b:struct<c:string,d:date>" at the commas that are not within a member.
func testMembers(text string) []string {
	var members []string
	depth, from := 0, 0
	for i, c := range text {
		switch c {
		case '<':
			depth++
		case '>':
			depth--
		case ',':
			if depth == 0 {
				members, from = append(members, text[from:i]), i+1
			}
		}
	}
	return append(members, text[from:])
}

var testTime = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// one yields batches.
func batches(recs ...arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// collect reads all batches.
func collect(t testing.TB, seq iter.Seq2[arrow.RecordBatch, error]) []arrow.RecordBatch {
	t.Helper()
	var out []arrow.RecordBatch
	for rec, err := range seq {
		if err != nil {
			t.Fatalf("read batches: %v", err)
		}
		out = append(out, rec)
	}
	return out
}

// rowTexts writes every row of the batches as "column:type=value" in order of the columns' names, in order of the
// texts.
func rowTexts(t testing.TB, recs ...arrow.RecordBatch) []string {
	t.Helper()
	var out []string
	for _, rec := range recs {
		for i := range int(rec.NumRows()) {
			cells := make([]string, rec.NumCols())
			for c, field := range rec.Schema().Fields() {
				value, err := json.Marshal(rec.Column(c).GetOneForMarshal(i))
				if err != nil {
					t.Fatal(err)
				}
				cells[c] = fmt.Sprintf("%s:%s=%s", field.Name, typeText(field.Type), sortedObject(value))
			}
			slices.Sort(cells)
			out = append(out, strings.Join(cells, "\n  "))
		}
	}
	slices.Sort(out)
	return out
}

// sortedObject writes a JSON object with its members in order of their names.
func sortedObject(value []byte) string {
	var object map[string]any
	if json.Unmarshal(value, &object) != nil {
		return string(value)
	}
	sorted, _ := json.Marshal(object)
	return string(sorted)
}

func typeText(t arrow.DataType) string {
	s, ok := t.(*arrow.StructType)
	if !ok {
		return t.String()
	}
	fields := slices.Clone(s.Fields())
	slices.SortFunc(fields, func(a, b arrow.Field) int { return cmp.Compare(a.Name, b.Name) })
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Name + ":" + typeText(f.Type)
	}
	return "struct<" + strings.Join(parts, ",") + ">"
}

// schemaText writes the columns of a schema, in order of their names.
func schemaText(s *arrow.Schema) string {
	out := make([]string, 0, s.NumFields())
	for _, f := range s.Fields() {
		out = append(out, f.Name+":"+typeText(f.Type))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
