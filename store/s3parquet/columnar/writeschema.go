package columnar

import (
	"fmt"
	"math/big"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A schemaBuilder lays an Arrow schema out as the elements of a Parquet schema.
type schemaBuilder struct {
	elems  []format.SchemaElement
	leaves []*leafWriter
}

func (b *schemaBuilder) build(s *arrow.Schema) ([]shredder, error) {
	b.elems = []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(s.NumFields()))}}
	return b.fields(s.Fields(), nil, 0, 0)
}

func (b *schemaBuilder) fields(fields []arrow.Field, path []string, def, rep uint8) ([]shredder, error) {
	out := make([]shredder, len(fields))
	for i, f := range fields {
		var err error
		if out[i], err = b.field(f.Name, f.Type, path, def, rep, format.Optional); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// field adds a column; def and rep are the levels around it.
func (b *schemaBuilder) field(
	name string, t arrow.DataType, path []string, def, rep uint8, r format.FieldRepetitionType,
) (shredder, error) {
	if def > maxNodeDepth {
		return nil, fmt.Errorf("%w: column %q nests too deeply", store.ErrSchema, path[0])
	}
	path = append(path[:len(path):len(path)], name)
	if r == format.Optional {
		def++
	}
	e := format.SchemaElement{Name: name, RepetitionType: thrift.New(r)}
	switch t := t.(type) {
	case *arrow.StructType:
		e.NumChildren = thrift.New(int32(t.NumFields()))
		b.elems = append(b.elems, e)
		members, err := b.fields(t.Fields(), path, def, rep)
		return structShredder{members}, err
	case *arrow.ListType:
		b.group(e, &format.ListType{}, deprecated.List, "list", 1)
		path = append(path, "list")
		element, err := b.field("element", t.Elem(), path, def+1, rep+1, format.Optional)
		return listShredder{element, rep + 1}, err
	case *arrow.MapType:
		b.group(e, &format.MapType{}, deprecated.Map, "key_value", 2)
		path = append(path, "key_value")
		key, err := b.field("key", t.KeyType(), path, def+1, rep+1, format.Required)
		if err != nil {
			return nil, err
		}
		value, err := b.field("value", t.ItemType(), path, def+1, rep+1, format.Optional)
		return mapShredder{key, value, rep + 1}, err
	}
	l, err := newLeafWriter(&e, t, path, def, rep)
	if err != nil {
		return nil, err
	}
	b.elems = append(b.elems, e)
	b.leaves = append(b.leaves, l)
	return leafShredder{leaf: l, required: r == format.Required}, nil
}

// group adds an annotated group and the repeated group in it.
func (b *schemaBuilder) group(
	e format.SchemaElement, l format.LogicalTypeValue, c deprecated.ConvertedType, name string, children int32,
) {
	e.NumChildren = thrift.New(int32(1))
	e.LogicalType.Value = l
	e.ConvertedType = thrift.New(c)
	repeated := format.SchemaElement{
		Name: name, RepetitionType: thrift.New(format.Repeated), NumChildren: thrift.New(children),
	}
	b.elems = append(b.elems, e, repeated)
}

// annotate gives a schema element the Parquet type that stands for an Arrow type.
func annotate(e *format.SchemaElement, t arrow.DataType) error {
	physical := func(p format.Type) { e.Type = thrift.New(p) }
	logical := func(l format.LogicalTypeValue, c deprecated.ConvertedType) {
		e.LogicalType.Value, e.ConvertedType = l, thrift.New(c)
	}
	switch t := t.(type) {
	case *arrow.StringType:
		physical(format.ByteArray)
		logical(&format.StringType{}, deprecated.UTF8)
	case *arrow.BinaryType:
		physical(format.ByteArray)
	case *arrow.BooleanType:
		physical(format.Boolean)
	case *arrow.Int8Type:
		physical(format.Int32)
		logical(&format.IntType{BitWidth: 8, IsSigned: true}, deprecated.Int8)
	case *arrow.Int16Type:
		physical(format.Int32)
		logical(&format.IntType{BitWidth: 16, IsSigned: true}, deprecated.Int16)
	case *arrow.Int32Type:
		physical(format.Int32)
	case *arrow.Int64Type:
		physical(format.Int64)
	case *arrow.Float32Type:
		physical(format.Float)
	case *arrow.Float64Type:
		physical(format.Double)
	case *arrow.Date32Type:
		physical(format.Int32)
		logical(&format.DateType{}, deprecated.Date)
	case *arrow.TimestampType:
		physical(format.Int64)
		unit := format.TimeUnit{Value: &format.MicroSeconds{}}
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: t.TimeZone != "", Unit: unit}
		if t.TimeZone != "" { // the old annotation means UTC
			e.ConvertedType = thrift.New(deprecated.TimestampMicros)
		}
	case *arrow.Decimal128Type:
		annotateDecimal(e, t)
	default:
		return fmt.Errorf("%w: type %s cannot be written", store.ErrSchema, t)
	}
	return nil
}

func annotateDecimal(e *format.SchemaElement, t *arrow.Decimal128Type) {
	switch {
	case t.Precision <= 9:
		e.Type = thrift.New(format.Int32)
	case t.Precision <= 18:
		e.Type = thrift.New(format.Int64)
	default:
		e.Type = thrift.New(format.FixedLenByteArray)
		e.TypeLength = thrift.New(decimalWidth(t.Precision))
	}
	e.LogicalType.Value = &format.DecimalType{Scale: t.Scale, Precision: t.Precision}
	e.ConvertedType = thrift.New(deprecated.Decimal)
	e.Scale, e.Precision = thrift.New(t.Scale), thrift.New(t.Precision)
}

// decimalWidth is the least number of bytes that hold every number of that many digits.
func decimalWidth(precision int32) int32 {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	return int32(most.Sub(most, big.NewInt(1)).BitLen())/8 + 1
}
