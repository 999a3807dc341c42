package main

import (
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// typesJSON is the rows of "types"; a date is in days, a moment in the form that Arrow reads.
const typesJSON = `[
{"id":"","i8":-128,"i16":-32768,"i32":-2147483648,"i64":-9223372036854775808,"f32":1.5,"f64":1e300,"flag":true,
 "blob":"AP8=","day":"1970-01-01","at":"1960-01-01T00:00:00.000001Z","clock":"2024-02-29T23:59:59.999999","money":"-99999999.99",
 "record":{"a":"x","b":{"c":1}},"list":["a",null,""],"lists":[[1],null,[]],"map":[{"key":"k","value":"v"},{"key":"l","value":null}]},
{"id":"a","i8":127,"i16":32767,"i32":2147483647,"i64":9223372036854775807,"f32":-0.25,"f64":0.1,"flag":false,
 "blob":"","day":"2024-02-29","at":"2024-02-29T23:59:59.999999Z","clock":"1960-01-01T00:00:00.000001","money":"0.01",
 "record":{"a":null,"b":null},"list":[],"lists":[],"map":[]},
{"id":"nothing"},
{"id":"é🎬\"'\\\n"}
]`

// typesSchema has every type that a table can have.
func typesSchema() *arrow.Schema {
	text := arrow.BinaryTypes.String
	field := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	return arrow.NewSchema([]arrow.Field{
		field("id", text), field("i8", arrow.PrimitiveTypes.Int8), field("i16", arrow.PrimitiveTypes.Int16),
		field("i32", arrow.PrimitiveTypes.Int32), field("i64", arrow.PrimitiveTypes.Int64),
		field("f32", arrow.PrimitiveTypes.Float32), field("f64", arrow.PrimitiveTypes.Float64),
		field("flag", arrow.FixedWidthTypes.Boolean), field("blob", arrow.BinaryTypes.Binary),
		field("day", arrow.FixedWidthTypes.Date32),
		field("at", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}),
		field("clock", &arrow.TimestampType{Unit: arrow.Microsecond}),
		field("money", &arrow.Decimal128Type{Precision: 10, Scale: 2}),
		field("record", arrow.StructOf(field("a", text), field("b", arrow.StructOf(field("c", arrow.PrimitiveTypes.Int64))))),
		field("list", arrow.ListOf(text)), field("lists", arrow.ListOf(arrow.ListOf(arrow.PrimitiveTypes.Int64))),
		field("map", arrow.MapOf(text, text)),
	}, nil)
}

func typesBatch() arrow.RecordBatch { return fromJSON(typesSchema(), typesJSON) }

// historyBatch is the two rows of commit n. From the sixth on there is another column, from the eighth another member.
func historyBatch(n int) arrow.RecordBatch {
	field := func(name string, t arrow.DataType) arrow.Field {
		return arrow.Field{Name: name, Type: t, Nullable: true}
	}
	members := []arrow.Field{field("x", arrow.BinaryTypes.String)}
	if n >= 7 {
		members = append(members, field("y", arrow.BinaryTypes.String))
	}
	fields := []arrow.Field{field("id", arrow.BinaryTypes.String), field("s", arrow.StructOf(members...))}
	if n >= 5 {
		fields = append(fields, field("new", arrow.PrimitiveTypes.Int64))
	}
	row := func(name string) string {
		out := fmt.Sprintf(`{"id":"%02d%s","s":{"x":"x%d"`, n, name, n)
		if n >= 7 {
			out += fmt.Sprintf(`,"y":"y%d"`, n)
		}
		out += "}"
		if n >= 5 {
			out += fmt.Sprintf(`,"new":%d`, n)
		}
		return out + "}"
	}
	return fromJSON(arrow.NewSchema(fields, nil), "["+row("a")+","+row("b")+"]")
}

// fromJSON builds a batch from the constant texts above.
func fromJSON(schema *arrow.Schema, text string) arrow.RecordBatch {
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, schema, strings.NewReader(text))
	if err != nil {
		panic(err)
	}
	return rec
}
