package delta

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// primitives are the names of the types without parameters.
var primitives = map[string]arrow.DataType{
	"string": arrow.BinaryTypes.String, "long": arrow.PrimitiveTypes.Int64, "integer": arrow.PrimitiveTypes.Int32,
	"short": arrow.PrimitiveTypes.Int16, "byte": arrow.PrimitiveTypes.Int8, "float": arrow.PrimitiveTypes.Float32,
	"double": arrow.PrimitiveTypes.Float64, "boolean": arrow.FixedWidthTypes.Boolean,
	"binary": arrow.BinaryTypes.Binary, "date": arrow.FixedWidthTypes.Date32,
	"timestamp":     &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"},
	"timestamp_ntz": &arrow.TimestampType{Unit: arrow.Microsecond},
}

var decimalName = regexp.MustCompile(`^decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)$`)

// arrowSchema returns the table's columns as Arrow has them. All are nullable there, whatever the log says.
func (s *structType) arrowSchema() (*arrow.Schema, error) {
	fields, err := s.arrowFields()
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(fields, nil), nil
}

func (s *structType) arrowFields() ([]arrow.Field, error) {
	fields := make([]arrow.Field, 0, len(s.Fields))
	for _, f := range s.Fields {
		t, err := f.Type.arrow()
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		if slices.ContainsFunc(fields, func(o arrow.Field) bool { return o.Name == f.Name }) {
			return nil, fmt.Errorf("%w: column %q occurs twice", store.ErrCorrupt, f.Name)
		}
		fields = append(fields, arrow.Field{Name: f.Name, Type: t, Nullable: true})
	}
	return fields, nil
}

func (t *dataType) arrow() (arrow.DataType, error) {
	switch {
	case t.Struct != nil:
		fields, err := t.Struct.arrowFields()
		if err != nil {
			return nil, err
		}
		return arrow.StructOf(fields...), nil
	case t.Elem != nil:
		elem, err := t.Elem.arrow()
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	case t.Key != nil:
		key, err := t.Key.arrow()
		if err != nil {
			return nil, err
		}
		value, err := t.Value.arrow()
		if err != nil {
			return nil, err
		}
		return arrow.MapOf(key, value), nil
	}
	if p, ok := primitives[t.Name]; ok {
		return p, nil
	}
	if m := decimalName.FindStringSubmatch(t.Name); m != nil {
		precision, _ := strconv.Atoi(m[1])
		scale, _ := strconv.Atoi(m[2])
		if precision >= 1 && precision <= 38 && scale <= precision {
			return &arrow.Decimal128Type{Precision: int32(precision), Scale: int32(scale)}, nil
		}
	}
	return nil, fmt.Errorf("%w: type %q", store.ErrUnsupported, t.Name)
}

// fromArrow returns the log's description of stored columns.
func fromArrow(fields []arrow.Field) (*structType, error) {
	s := &structType{Fields: make([]field, len(fields))}
	for i, f := range fields {
		t, err := typeFromArrow(f.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		s.Fields[i] = field{Name: f.Name, Type: *t, Nullable: true, Metadata: map[string]json.RawMessage{}}
	}
	return s, nil
}

func typeFromArrow(t arrow.DataType) (*dataType, error) {
	switch t := t.(type) {
	case *arrow.StructType:
		s, err := fromArrow(t.Fields())
		return &dataType{Struct: s}, err
	case *arrow.MapType:
		key, err := typeFromArrow(t.KeyType())
		if err != nil {
			return nil, err
		}
		value, err := typeFromArrow(t.ItemType())
		return &dataType{Key: key, Value: value, Nulls: true}, err
	case *arrow.ListType:
		elem, err := typeFromArrow(t.Elem())
		return &dataType{Elem: elem, Nulls: true}, err
	case *arrow.Decimal128Type:
		return &dataType{Name: fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)}, nil
	}
	for name, p := range primitives {
		if arrow.TypeEqual(p, t) {
			return &dataType{Name: name}, nil
		}
	}
	return nil, fmt.Errorf("%w: type %s", store.ErrSchema, t)
}

// merged returns the description of a table's columns after they became merged, which has all of them and maybe
// more. What the log says of the old columns beside their types is kept.
func (s *structType) merged(to []arrow.Field) (*structType, error) {
	out := &structType{Fields: slices.Clone(s.Fields)}
	for _, f := range to {
		i := slices.IndexFunc(out.Fields, func(o field) bool { return o.Name == f.Name })
		if i < 0 {
			added, err := fromArrow([]arrow.Field{f})
			if err != nil {
				return nil, err
			}
			out.Fields = append(out.Fields, added.Fields...)
			continue
		}
		t, err := out.Fields[i].Type.merged(f.Type)
		if err != nil {
			return nil, err
		}
		out.Fields[i].Type = *t
	}
	return out, nil
}

func (t *dataType) merged(to arrow.DataType) (*dataType, error) {
	out := *t
	var err error
	switch to := to.(type) {
	case *arrow.StructType:
		out.Struct, err = t.Struct.merged(to.Fields())
	case *arrow.MapType:
		if out.Key, err = t.Key.merged(to.KeyType()); err == nil {
			out.Value, err = t.Value.merged(to.ItemType())
		}
	case *arrow.ListType:
		out.Elem, err = t.Elem.merged(to.Elem())
	}
	return &out, err
}
