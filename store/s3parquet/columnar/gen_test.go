package columnar

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func field(name string, t arrow.DataType) arrow.Field {
	return arrow.Field{Name: name, Type: t, Nullable: true}
}

// everyType is a schema with all stored types, at several depths.
func everyType() *arrow.Schema {
	point := arrow.StructOf(field("x", arrow.PrimitiveTypes.Float64), field("label", arrow.BinaryTypes.String))
	return arrow.NewSchema([]arrow.Field{
		field("id", arrow.BinaryTypes.String),
		field("few", arrow.BinaryTypes.String),
		field("blob", arrow.BinaryTypes.Binary),
		field("yes", arrow.FixedWidthTypes.Boolean),
		field("i8", arrow.PrimitiveTypes.Int8),
		field("i16", arrow.PrimitiveTypes.Int16),
		field("i32", arrow.PrimitiveTypes.Int32),
		field("i64", arrow.PrimitiveTypes.Int64),
		field("f32", arrow.PrimitiveTypes.Float32),
		field("f64", arrow.PrimitiveTypes.Float64),
		field("day", arrow.FixedWidthTypes.Date32),
		field("moment", timestampUTC),
		field("clock", timestampNTZ),
		field("d9", &arrow.Decimal128Type{Precision: 9, Scale: 2}),
		field("d18", &arrow.Decimal128Type{Precision: 18, Scale: 4}),
		field("d38", &arrow.Decimal128Type{Precision: 38, Scale: 10}),
		field("by_field", arrow.StructOf(field("a", arrow.BinaryTypes.String), field("b/c", arrow.BinaryTypes.String),
			field("deep", arrow.StructOf(field("n", arrow.PrimitiveTypes.Int64), field("tags", arrow.ListOf(point)))))),
		field("list", arrow.ListOf(arrow.BinaryTypes.String)),
		field("lists", arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int32))),
		field("map", arrow.MapOf(arrow.BinaryTypes.String, arrow.PrimitiveTypes.Int64)),
		field("maps", arrow.MapOf(arrow.BinaryTypes.String, arrow.ListOf(point))),
		field("pints.with.dots \"and\" 🎬", arrow.PrimitiveTypes.Int64),
	}, nil)
}

// nastyStrings are values that break what is not careful.
var nastyStrings = []string{"", "a", "O'Neil", `quo"te`, "new\nline", "nul\x00byte", "emoji 🎬", "slash/../x", "ÿ", "\U0010FFFF"}

// A generator makes random batches.
type generator struct {
	*rand.Rand
	nulls float64
}

func newGenerator(seed uint64, nulls float64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 7)), nulls: nulls}
}

func (g *generator) batch(s *arrow.Schema, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	for i, f := range s.Fields() {
		for range n {
			g.value(b.Field(i), f.Name, true)
		}
	}
	return b.NewRecordBatch()
}

func (g *generator) value(b array.Builder, name string, nullable bool) {
	if nullable && g.Float64() < g.nulls {
		b.AppendNull()
		return
	}
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(g.text(name))
	case *array.BinaryBuilder:
		b.Append([]byte(g.text(name) + "\xff\xfe"))
	case *array.BooleanBuilder:
		b.Append(g.IntN(2) == 0)
	case *array.Int8Builder:
		b.Append(int8(g.Uint32()))
	case *array.Int16Builder:
		b.Append(int16(g.Uint32()))
	case *array.Int32Builder:
		b.Append(int32(g.Uint32()))
	case *array.Int64Builder:
		b.Append(int64(g.Uint64()))
	case *array.Float32Builder:
		b.Append(float32(g.NormFloat64()))
	case *array.Float64Builder:
		b.Append([]float64{g.NormFloat64(), 0, math.Copysign(0, -1), math.Inf(1), math.MaxFloat64}[g.IntN(5)])
	case *array.Date32Builder:
		b.Append(arrow.Date32(g.IntN(80_000) - 40_000))
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(g.Int64N(4e15) - 1e15))
	case *array.Decimal128Builder:
		g.decimal(b)
	case *array.StructBuilder:
		b.Append(true)
		for i := range b.NumField() {
			g.value(b.FieldBuilder(i), b.Type().(*arrow.StructType).Field(i).Name, true)
		}
	case *array.MapBuilder:
		b.Append(true)
		for range g.IntN(4) {
			g.value(b.KeyBuilder(), name, false)
			g.value(b.ItemBuilder(), name, true)
		}
	case *array.ListBuilder:
		b.Append(true)
		for range g.IntN(4) {
			g.value(b.ValueBuilder(), name, true)
		}
	default:
		panic(fmt.Sprintf("no values for %T", b))
	}
}

func (g *generator) text(name string) string {
	if name == "few" {
		return nastyStrings[g.IntN(len(nastyStrings))]
	}
	return nastyStrings[g.IntN(len(nastyStrings))] + fmt.Sprintf("%x", g.Uint64()>>g.IntN(60))
}

func (g *generator) decimal(b *array.Decimal128Builder) {
	t := b.Type().(*arrow.Decimal128Type)
	n := decimal128.FromI64(g.Int64N(2_000_000_000) - 1_000_000_000)
	if t.Precision <= 9 {
		n = decimal128.FromI64(n.BigInt().Int64() / 10)
	}
	if t.Precision > 18 {
		n = n.Mul(decimal128.FromU64(1e18)).Add(decimal128.FromI64(g.Int64N(1e18)))
	}
	b.Append(n)
}

// encode writes batches to a file in memory.
func encode(t testing.TB, o WriterOptions, batches ...arrow.RecordBatch) ([]byte, Stats) {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, batches[0].Schema(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	stats, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Bytes != int64(out.Len()) {
		t.Errorf("Stats.Bytes = %d, the file has %d", stats.Bytes, out.Len())
	}
	return out.Bytes(), stats
}

// openBytes opens a file in memory.
func openBytes(t testing.TB, o ReadOptions, file []byte) *File {
	t.Helper()
	f, err := o.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// scanAll returns the rows of a scan as one batch, with their positions.
func scanAll(t testing.TB, f *File, q store.Query, table *arrow.Schema) (arrow.RecordBatch, []uint32) {
	t.Helper()
	var batches []arrow.RecordBatch
	var rows []uint32
	for b, err := range f.Scan(t.Context(), q, 3, table) {
		if err != nil {
			t.Fatal(err)
		}
		if b.NumRows() == 0 {
			t.Error("a scan yields an empty batch")
		}
		for i := range int(b.NumRows()) {
			if b.Ref(i).File() != 3 {
				t.Fatalf("row of file %d, want 3", b.Ref(i).File())
			}
			rows = append(rows, b.Ref(i).Row())
		}
		batches = append(batches, b.RecordBatch)
	}
	if batches == nil {
		return nil, nil
	}
	return concat(t, batches), rows
}

func concat(t testing.TB, batches []arrow.RecordBatch) arrow.RecordBatch {
	t.Helper()
	cols := make([]arrow.Array, batches[0].NumCols())
	n := int64(0)
	for i := range cols {
		var parts []arrow.Array
		for _, b := range batches {
			parts = append(parts, b.Column(i))
		}
		col, err := array.Concatenate(parts, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		cols[i], n = col, int64(col.Len())
	}
	if len(cols) == 0 {
		for _, b := range batches {
			n += b.NumRows()
		}
	}
	return array.NewRecordBatch(batches[0].Schema(), cols, n)
}

// sameRows compares batches column by column.
func sameRows(t testing.TB, got, want arrow.RecordBatch) {
	t.Helper()
	if got.NumRows() != want.NumRows() || got.NumCols() != want.NumCols() {
		t.Fatalf("got %d rows and %d columns, want %d and %d", got.NumRows(), got.NumCols(), want.NumRows(), want.NumCols())
	}
	for i := range int(want.NumCols()) {
		g, w := got.Column(i), want.Column(i)
		if got.ColumnName(i) != want.ColumnName(i) || !arrow.TypeEqual(g.DataType(), w.DataType()) {
			t.Errorf("column %d is %s %s, want %s %s", i, got.ColumnName(i), g.DataType(), want.ColumnName(i), w.DataType())
			continue
		}
		if array.Equal(g, w) {
			continue
		}
		for j := range w.Len() {
			if g.ValueStr(j) != w.ValueStr(j) {
				t.Errorf("column %s: row %d is %s, want %s", want.ColumnName(i), j, g.ValueStr(j), w.ValueStr(j))
				break
			}
		}
		t.Errorf("column %s differs", want.ColumnName(i))
	}
}
