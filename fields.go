package metaxy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array/arreflect"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// fieldNames returns the columns that a struct names.
func fieldNames[T any]() []string {
	s, err := arreflect.InferSchema[T]()
	if err != nil {
		return nil
	}
	return columnNames(s)
}

// inputColumns returns the columns that the struct In names. All problems are reported at once.
func inputColumns[In any](have *arrow.Schema) ([]string, error) {
	t := reflect.TypeFor[In]()
	schema, err := structSchema[In]()
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, name := range columnNames(schema) {
		field, _ := structField(t, name)
		cols, ok := have.FieldsByName(name)
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("field %s.%s: the samples have no column %q, only %q", t, field.Name, name,
				columnNames(have)))
		case !holds(field.Type, cols[0].Type):
			problems = append(problems, fmt.Errorf("field %s.%s is %s, which cannot hold column %q of type %s", t, field.Name,
				field.Type, name, cols[0].Type))
		}
	}
	return columnNames(schema), errors.Join(problems...)
}

// outputColumns checks the columns that the struct Out names against the table.
func outputColumns[Out any](k task) error {
	schema, err := structSchema[Out]()
	if err != nil {
		return err
	}
	t := reflect.TypeFor[Out]()
	var problems []error
	for _, name := range columnNames(schema) {
		if feature.IsSystemColumn(name) && name != feature.ColDataVersionByField {
			field, _ := structField(t, name)
			problems = append(problems, fmt.Errorf("field %s.%s: column %q is written by the runner", t, field.Name, name))
		}
	}
	if k.rel.expands {
		for _, id := range k.feature.Spec().IDColumns {
			if !slices.Contains(k.rel.keys, id) && !schema.HasField(id) {
				problems = append(problems, fmt.Errorf("%s has no field for the id column %q", t, id))
			}
		}
	}
	if err := k.rows.fitsTable(stripped(schema)); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", t, err))
	}
	return errors.Join(problems...)
}

// stripped has times in the unit in which they are stored.
func stripped(s *arrow.Schema) *arrow.Schema {
	fields := s.Fields()
	for i, f := range fields {
		if t, ok := f.Type.(*arrow.TimestampType); ok {
			fields[i].Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: t.TimeZone}
		}
	}
	return arrow.NewSchema(fields, nil)
}

func structSchema[T any]() (*arrow.Schema, error) {
	t := reflect.TypeFor[T]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct whose fields name columns", t)
	}
	s, err := arreflect.InferSchema[T]()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t, err)
	}
	return s, nil
}

// structField finds the field that names a column, also in embedded structs.
func structField(t reflect.Type, column string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("arrow"), ",")
		if name == "" {
			name = f.Name
		}
		if name == column {
			return f, true
		}
	}
	return reflect.StructField{Name: column}, false
}

// holds reports whether values of a column can be put into a Go type. Integers may have other widths; a value that does
// not fit then fails its sample.
func holds(t reflect.Type, col arrow.DataType) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch c := col.(type) {
	case *arrow.NullType:
		return true
	case *arrow.BooleanType:
		return t.Kind() == reflect.Bool
	case *arrow.StringType, *arrow.LargeStringType:
		return t.Kind() == reflect.String
	case *arrow.BinaryType, *arrow.LargeBinaryType:
		return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
	case *arrow.TimestampType, *arrow.Date32Type, *arrow.Date64Type:
		return t == reflect.TypeFor[time.Time]()
	case *arrow.Decimal128Type:
		return t == reflect.TypeFor[decimal128.Num]()
	case *arrow.MapType:
		return t.Kind() == reflect.Map && holds(t.Key(), c.KeyType()) && holds(t.Elem(), c.ItemType())
	case *arrow.FixedSizeListType:
		return (t.Kind() == reflect.Slice || t.Kind() == reflect.Array && t.Len() == int(c.Len())) && holds(t.Elem(), c.Elem())
	case arrow.ListLikeType:
		return t.Kind() == reflect.Slice && holds(t.Elem(), c.Elem())
	case *arrow.StructType:
		return holdsStruct(t, c)
	}
	switch id := col.ID(); {
	case arrow.IsSignedInteger(id):
		return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64
	case arrow.IsUnsignedInteger(id):
		return t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64
	case arrow.IsFloating(id):
		return t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64
	}
	return false
}

// holdsStruct looks at the members that the Go struct names; the others are passed over.
func holdsStruct(t reflect.Type, col *arrow.StructType) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, m := range col.Fields() {
		if f, ok := structField(t, m.Name); ok && !holds(f.Type, m.Type) {
			return false
		}
	}
	return true
}
