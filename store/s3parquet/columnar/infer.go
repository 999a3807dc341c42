package columnar

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

var (
	timestampUTC = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	timestampNTZ = &arrow.TimestampType{Unit: arrow.Microsecond}
)

// inferSchema gives a file's columns the stored types that hold their values.
func inferSchema(root *node) (*arrow.Schema, error) {
	fields, err := inferFields(root.children)
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(fields, nil), nil
}

func inferFields(nodes []*node) ([]arrow.Field, error) {
	fields := make([]arrow.Field, len(nodes))
	for i, n := range nodes {
		t, err := inferType(n, false)
		if err != nil {
			return nil, err
		}
		fields[i] = arrow.Field{Name: n.elem.Name, Type: t, Nullable: true}
	}
	return fields, nil
}

// inferType returns the type of a node; a repeated node is a list of its own unless it is the element of one.
func inferType(n *node, element bool) (arrow.DataType, error) {
	if n.repeated() && !element {
		elem, err := inferType(n, true)
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	}
	switch {
	case n.leaf >= 0:
		return inferScalar(n.elem), nil
	case n.isMap():
		key, value, err := mapNodes(n)
		if err != nil {
			return nil, err
		}
		k, err := inferType(key, false)
		if err != nil || value == nil {
			return arrow.MapOf(k, arrow.BinaryTypes.String), err
		}
		v, err := inferType(value, false)
		if err != nil {
			return nil, err
		}
		return arrow.MapOf(k, v), nil
	case n.isList():
		repeated, err := listNode(n)
		if err != nil {
			return nil, err
		}
		elem, err := inferType(repeated.elementOf(n), repeated.elementOf(n) == repeated)
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	}
	fields, err := inferFields(n.children)
	if err != nil {
		return nil, err
	}
	return arrow.StructOf(fields...), nil
}

// listNode returns the repeated child of an annotated list.
func listNode(n *node) (*node, error) {
	if len(n.children) != 1 || !n.children[0].repeated() {
		return nil, corruptf("list column %q does not have one repeated member", n.path())
	}
	return n.children[0], nil
}

// mapNodes returns the key and the value of an annotated map; a set has no value.
func mapNodes(n *node) (key, value *node, err error) {
	if len(n.children) != 1 || !n.children[0].repeated() {
		return nil, nil, corruptf("map column %q does not have one repeated member", n.path())
	}
	switch pair := n.children[0].children; len(pair) {
	case 1:
		return pair[0], nil, nil
	case 2:
		return pair[0], pair[1], nil
	}
	return nil, nil, corruptf("map column %q does not have keys and values", n.path())
}

func inferScalar(e *format.SchemaElement) arrow.DataType {
	switch e.Type.V {
	case format.Boolean:
		return arrow.FixedWidthTypes.Boolean
	case format.Int32:
		return inferInt32(e)
	case format.Int64:
		if precision, scale, ok := decimalOf(e); ok {
			return &arrow.Decimal128Type{Precision: precision, Scale: scale}
		}
		if _, utc, ok := timestampOf(e); ok && utc {
			return timestampUTC
		} else if ok {
			return timestampNTZ
		}
		return arrow.PrimitiveTypes.Int64
	case format.Int96:
		return timestampUTC
	case format.Float:
		return arrow.PrimitiveTypes.Float32
	case format.Double:
		return arrow.PrimitiveTypes.Float64
	case format.FixedLenByteArray:
		if precision, scale, ok := decimalOf(e); ok {
			return &arrow.Decimal128Type{Precision: precision, Scale: scale}
		}
		if isFloat16(e) {
			return arrow.PrimitiveTypes.Float32
		}
		return arrow.BinaryTypes.Binary
	}
	switch e.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		return arrow.BinaryTypes.String
	}
	switch c := e.ConvertedType; {
	case c.Valid && (c.V == deprecated.UTF8 || c.V == deprecated.Enum || c.V == deprecated.Json):
		return arrow.BinaryTypes.String
	}
	return arrow.BinaryTypes.Binary
}

func inferInt32(e *format.SchemaElement) arrow.DataType {
	if precision, scale, ok := decimalOf(e); ok {
		return &arrow.Decimal128Type{Precision: precision, Scale: scale}
	}
	if isDate(e) {
		return arrow.FixedWidthTypes.Date32
	}
	width, signed := intOf(e, 32)
	switch {
	case signed && width == 8:
		return arrow.PrimitiveTypes.Int8
	case signed && width == 16, !signed && width == 8:
		return arrow.PrimitiveTypes.Int16
	case !signed && width == 32:
		return arrow.PrimitiveTypes.Int64
	}
	return arrow.PrimitiveTypes.Int32
}

func isDate(e *format.SchemaElement) bool {
	_, ok := e.LogicalType.Value.(*format.DateType)
	return ok || e.ConvertedType.Valid && e.ConvertedType.V == deprecated.Date
}

func isFloat16(e *format.SchemaElement) bool {
	_, ok := e.LogicalType.Value.(*format.Float16Type)
	return ok && e.TypeLength.V == 2
}

func decimalOf(e *format.SchemaElement) (precision, scale int32, ok bool) {
	if d, is := e.LogicalType.Value.(*format.DecimalType); is {
		precision, scale, ok = d.Precision, d.Scale, true
	} else if e.ConvertedType.Valid && e.ConvertedType.V == deprecated.Decimal {
		precision, scale, ok = e.Precision.V, e.Scale.V, true
	}
	return precision, scale, ok && precision > 0 && precision <= 38 && scale >= 0 && scale <= precision
}

// timestampOf returns how many of the unit make a second.
func timestampOf(e *format.SchemaElement) (perSecond int64, utc, ok bool) {
	if t, is := e.LogicalType.Value.(*format.TimestampType); is {
		switch t.Unit.Value.(type) {
		case *format.MilliSeconds:
			return 1e3, t.IsAdjustedToUTC, true
		case *format.MicroSeconds:
			return 1e6, t.IsAdjustedToUTC, true
		case *format.NanoSeconds:
			return 1e9, t.IsAdjustedToUTC, true
		}
		return 0, false, false
	}
	switch c := e.ConvertedType; {
	case c.Valid && c.V == deprecated.TimestampMillis:
		return 1e3, true, true
	case c.Valid && c.V == deprecated.TimestampMicros:
		return 1e6, true, true
	}
	return 0, false, false
}

// intOf returns the width and signedness of an integer column; physical is the width when nothing else is said.
func intOf(e *format.SchemaElement, physical int) (width int, signed bool) {
	if t, ok := e.LogicalType.Value.(*format.IntType); ok {
		return int(t.BitWidth), t.IsSigned
	}
	if c := e.ConvertedType; c.Valid {
		switch c.V {
		case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
			return 8 << (c.V - deprecated.Uint8), false
		case deprecated.Int8, deprecated.Int16, deprecated.Int32, deprecated.Int64:
			return 8 << (c.V - deprecated.Int8), true
		}
	}
	return physical, true
}
