package metaxy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/decimal128"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// fieldNames returns the columns that a struct names.
func fieldNames[T any]() []string {
	cols, err := structColumns(reflect.TypeFor[T]())
	if err != nil {
		return nil
	}
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.name
	}
	return names
}

// inputColumns returns the columns that the struct In names. All problems are reported at once.
func inputColumns[In any](have *arrow.Schema) ([]string, error) {
	t := reflect.TypeFor[In]()
	cols, err := structColumns(t)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, c := range cols {
		given, ok := have.FieldsByName(c.name)
		switch {
		case !ok:
			problems = append(problems, fmt.Errorf("field %s.%s: the samples have no column %q, only %q", t, c.field.Name, c.name,
				columnNames(have)))
		case !holds(c.field.Type, given[0].Type):
			problems = append(problems, fmt.Errorf("field %s.%s is %s, which cannot hold column %q of type %s", t, c.field.Name,
				c.field.Type, c.name, given[0].Type))
		}
	}
	return fieldNames[In](), errors.Join(problems...)
}

// outputColumns checks the columns that the struct Out names, also against the table.
func outputColumns[Out any](k task) error {
	t := reflect.TypeFor[Out]()
	st, err := structType(t)
	if err != nil {
		return err
	}
	var problems []error
	for _, f := range st.Fields() {
		if feature.IsSystemColumn(f.Name) && f.Name != feature.ColDataVersionByField {
			problems = append(problems, fmt.Errorf("%s: column %q is written by the runner", t, f.Name))
		}
	}
	schema := arrow.NewSchema(st.Fields(), nil)
	if k.rel.expands {
		for _, id := range k.feature.Spec().IDColumns {
			if !slices.Contains(k.rel.keys, id) && !schema.HasField(id) {
				problems = append(problems, fmt.Errorf("%s has no field for the id column %q", t, id))
			}
		}
	}
	if err := k.rows.fitsTable(schema); err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", t, err))
	}
	return errors.Join(problems...)
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
	cols, err := structColumns(t)
	for _, c := range cols {
		if m, ok := col.FieldByName(c.name); ok && !holds(c.field.Type, m.Type) {
			return false
		}
	}
	return err == nil
}
