package store

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// timestampUTC is the stored type of a moment: microseconds since the epoch, in UTC.
var timestampUTC = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// timestampNTZ is the stored type of a wall-clock time that belongs to no zone.
var timestampNTZ = &arrow.TimestampType{Unit: arrow.Microsecond}

// StoredSchema brings a schema to the types that tables keep. Columns whose type says nothing yet (null, a list of
// nulls, a struct without members) are left out: they come into being with the first write that knows their type.
// A type that no table can keep is an error wrapping ErrSchema.
func StoredSchema(s *arrow.Schema) (*arrow.Schema, error) {
	fields, err := storedFields(s.Fields(), "")
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(fields, nil), nil
}

func storedFields(fields []arrow.Field, parent string) ([]arrow.Field, error) {
	out := make([]arrow.Field, 0, len(fields))
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		path := parent + f.Name
		if seen[f.Name] {
			return nil, fmt.Errorf("%w: column %q occurs twice", ErrSchema, path)
		}
		seen[f.Name] = true
		t, err := storedType(f.Type, path)
		if err != nil {
			return nil, err
		}
		if t != nil {
			out = append(out, arrow.Field{Name: f.Name, Type: t, Nullable: true})
		}
	}
	return out, nil
}

// storedType returns nil for a type that says nothing yet.
func storedType(t arrow.DataType, path string) (arrow.DataType, error) {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return storedType(t.ValueType, path)
	case *arrow.RunEndEncodedType:
		return storedType(t.Encoded(), path)
	case arrow.ExtensionType:
		return storedType(t.StorageType(), path)
	case *arrow.StructType:
		fields, err := storedFields(t.Fields(), path+".")
		if err != nil || len(fields) == 0 {
			return nil, err
		}
		return arrow.StructOf(fields...), nil
	case *arrow.MapType:
		return storedMap(t, path)
	case arrow.ListLikeType:
		elem, err := storedType(t.Elem(), path+"[]")
		if err != nil || elem == nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	}
	if s, ok := storedScalar(t); ok {
		return s, nil
	}
	return nil, fmt.Errorf("%w: column %q has type %s, which tables cannot keep; convert it first", ErrSchema, path, t)
}

func storedMap(t *arrow.MapType, path string) (arrow.DataType, error) {
	key, err := storedType(t.KeyType(), path+".key")
	if err != nil {
		return nil, err
	}
	item, err := storedType(t.ItemType(), path+".value")
	if err != nil || key == nil || item == nil {
		return nil, err
	}
	return arrow.MapOf(key, item), nil
}

func storedScalar(t arrow.DataType) (arrow.DataType, bool) {
	switch t.ID() {
	case arrow.NULL:
		return nil, true
	case arrow.BOOL, arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.FLOAT32, arrow.FLOAT64, arrow.STRING,
		arrow.BINARY, arrow.DATE32, arrow.DECIMAL128:
		return t, true
	case arrow.UINT8:
		return arrow.PrimitiveTypes.Int16, true
	case arrow.UINT16:
		return arrow.PrimitiveTypes.Int32, true
	case arrow.UINT32, arrow.UINT64:
		return arrow.PrimitiveTypes.Int64, true
	case arrow.FLOAT16:
		return arrow.PrimitiveTypes.Float32, true
	case arrow.LARGE_STRING, arrow.STRING_VIEW:
		return arrow.BinaryTypes.String, true
	case arrow.LARGE_BINARY, arrow.BINARY_VIEW, arrow.FIXED_SIZE_BINARY:
		return arrow.BinaryTypes.Binary, true
	case arrow.DATE64:
		return arrow.FixedWidthTypes.Date32, true
	case arrow.TIMESTAMP:
		if t.(*arrow.TimestampType).TimeZone == "" {
			return timestampNTZ, true
		}
		return timestampUTC, true
	case arrow.DECIMAL32, arrow.DECIMAL64, arrow.DECIMAL256:
		d := t.(arrow.DecimalType)
		if d.GetPrecision() > 38 {
			return nil, false
		}
		return &arrow.Decimal128Type{Precision: d.GetPrecision(), Scale: d.GetScale()}, true
	}
	return nil, false
}

// MergeSchema returns the columns of a table that has the columns of have and receives rows with the columns of add:
// new columns and struct members come last, in the order of add. A column of add that cannot be brought to the
// type it has in have without loss is an error wrapping ErrSchema. A nil have is a table without columns.
func MergeSchema(have, add *arrow.Schema) (*arrow.Schema, error) {
	var old []arrow.Field
	if have != nil {
		old = have.Fields()
	}
	fields, err := mergeFields(old, add.Fields(), "")
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(fields, nil), nil
}

func mergeFields(have, add []arrow.Field, parent string) ([]arrow.Field, error) {
	out := slices.Clone(have)
	seen := make(map[string]bool, len(add))
	for _, f := range add {
		path := parent + f.Name
		if seen[f.Name] {
			return nil, fmt.Errorf("%w: column %q occurs twice", ErrSchema, path)
		}
		seen[f.Name] = true
		i := slices.IndexFunc(have, func(h arrow.Field) bool { return h.Name == f.Name })
		if i < 0 {
			t, err := storedType(f.Type, path)
			if err != nil {
				return nil, err
			}
			if t != nil {
				out = append(out, arrow.Field{Name: f.Name, Type: t, Nullable: true})
			}
			continue
		}
		t, err := mergeType(have[i].Type, f.Type, path)
		if err != nil {
			return nil, err
		}
		out[i].Type = t
	}
	return out, nil
}

// mergeType returns have, with the struct members that only add has.
func mergeType(have, add arrow.DataType, path string) (arrow.DataType, error) {
	add = plainType(add)
	switch h := have.(type) {
	case *arrow.StructType:
		if a, ok := add.(*arrow.StructType); ok {
			fields, err := mergeFields(h.Fields(), a.Fields(), path+".")
			if err != nil {
				return nil, err
			}
			return arrow.StructOf(fields...), nil
		}
	case *arrow.MapType:
		if a, ok := add.(*arrow.StructType); ok && entriesOf(a, h) {
			return h, nil
		}
		if a, ok := add.(*arrow.MapType); ok {
			key, err := mergeType(h.KeyType(), a.KeyType(), path+".key")
			if err != nil {
				return nil, err
			}
			item, err := mergeType(h.ItemType(), a.ItemType(), path+".value")
			if err != nil {
				return nil, err
			}
			return arrow.MapOf(key, item), nil
		}
	case *arrow.ListType:
		if a, ok := add.(arrow.ListLikeType); ok && add.ID() != arrow.MAP {
			elem, err := mergeType(h.Elem(), a.Elem(), path+"[]")
			if err != nil {
				return nil, err
			}
			return arrow.ListOf(elem), nil
		}
	}
	if castable(add, have) {
		return have, nil
	}
	return nil, fmt.Errorf("%w: column %q is %s in the table and %s in the rows, which does not convert without loss",
		ErrSchema, path, have, add)
}

// entriesOf reports whether the members of a struct can be the entries of a map from their names.
func entriesOf(s *arrow.StructType, m *arrow.MapType) bool {
	if m.KeyType().ID() != arrow.STRING {
		return false
	}
	for _, f := range s.Fields() {
		if !castable(plainType(f.Type), m.ItemType()) {
			return false
		}
	}
	return true
}

// plainType takes away what only says how values are held in memory.
func plainType(t arrow.DataType) arrow.DataType {
	for {
		switch u := t.(type) {
		case *arrow.DictionaryType:
			t = u.ValueType
		case *arrow.RunEndEncodedType:
			t = u.Encoded()
		case arrow.ExtensionType:
			t = u.StorageType()
		default:
			return t
		}
	}
}

// castable reports whether every value of a scalar type has an equal in the other. Values that a wider type holds
// but its stored form cannot (an uint64 over the range of int64) are found by Conform.
func castable(from, to arrow.DataType) bool {
	if from.ID() == arrow.NULL || arrow.TypeEqual(from, to) {
		return true
	}
	stored, ok := storedScalar(from)
	if !ok {
		return false
	}
	if arrow.TypeEqual(stored, to) {
		return true
	}
	switch stored.ID() {
	case arrow.INT8, arrow.INT16, arrow.INT32:
		width := stored.(arrow.FixedWidthDataType).BitWidth()
		switch to.ID() {
		case arrow.INT16, arrow.INT32, arrow.INT64:
			return to.(arrow.FixedWidthDataType).BitWidth() > width
		case arrow.FLOAT64:
			return true
		case arrow.FLOAT32:
			return width <= 16
		}
	case arrow.FLOAT32:
		return to.ID() == arrow.FLOAT64
	case arrow.STRING:
		return to.ID() == arrow.BINARY
	case arrow.DECIMAL128:
		if d, ok := to.(*arrow.Decimal128Type); ok {
			f := stored.(arrow.DecimalType)
			return d.Scale >= f.GetScale() && d.Precision-d.Scale >= f.GetPrecision()-f.GetScale()
		}
	}
	return false
}
