package metaxy

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Structs are read by package arreflect. They are written here, because arreflect (of arrow-go 18.8) makes an empty struct
// of a time.Time within a struct, and has types that no table can hold.

// A structColumn is a field of a struct that names a column, by its arrow tag or else by its name.
type structColumn struct {
	name  string
	field reflect.StructField
	date  bool // a time.Time that is stored as a date
}

// structColumns returns the columns that a struct names, those of embedded structs included.
func structColumns(t reflect.Type) ([]structColumn, error) {
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil, fmt.Errorf("%s is not a struct whose fields name columns", t)
	}
	var out []structColumn
	byName := map[string]string{}
	for _, f := range reflect.VisibleFields(t) {
		tag, tagged := f.Tag.Lookup("arrow")
		embedded := f.Anonymous && !tagged && deref(f.Type).Kind() == reflect.Struct && deref(f.Type) != reflect.TypeFor[time.Time]()
		if tag == "-" || !f.IsExported() || embedded {
			continue
		}
		c := structColumn{field: f}
		var option string
		c.name, option, _ = strings.Cut(tag, ",")
		if c.name == "" {
			c.name = f.Name
		}
		if c.date = option == "date32"; option != "" && (!c.date || deref(f.Type) != reflect.TypeFor[time.Time]()) {
			return nil, fmt.Errorf("field %s.%s: the tag %q is not understood; there is only \"date32\", for a time.Time", t, f.Name, tag)
		}
		if other, twice := byName[c.name]; twice {
			return nil, fmt.Errorf("fields %s.%s and %s both name the column %q", t, other, f.Name, c.name)
		}
		byName[c.name] = f.Name
		out = append(out, c)
	}
	return out, nil
}

func deref(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// structType is the columns of a struct with the types in which they are stored.
func structType(t reflect.Type) (*arrow.StructType, error) {
	cols, err := structColumns(t)
	if err != nil {
		return nil, err
	}
	fields := make([]arrow.Field, len(cols))
	for i, c := range cols {
		dt, err := storedType(c.field.Type)
		if err != nil {
			return nil, fmt.Errorf("field %s.%s: %w", t, c.field.Name, err)
		}
		if c.date {
			dt = arrow.FixedWidthTypes.Date32
		}
		fields[i] = arrow.Field{Name: c.name, Type: dt, Nullable: true}
	}
	return arrow.StructOf(fields...), nil
}

// storedType is the type in which values of a Go type are stored. Unsigned integers are stored in wider signed ones.
func storedType(t reflect.Type) (arrow.DataType, error) {
	switch t = deref(t); t {
	case reflect.TypeFor[time.Time]():
		return arrow.FixedWidthTypes.Timestamp_us, nil
	case reflect.TypeFor[decimal128.Num]():
		return &arrow.Decimal128Type{Precision: 38}, nil
	case reflect.TypeFor[time.Duration]():
		return nil, fmt.Errorf("a time.Duration cannot be stored; use a number")
	}
	switch t.Kind() {
	case reflect.Bool:
		return arrow.FixedWidthTypes.Boolean, nil
	case reflect.String:
		return arrow.BinaryTypes.String, nil
	case reflect.Int8:
		return arrow.PrimitiveTypes.Int8, nil
	case reflect.Int16, reflect.Uint8:
		return arrow.PrimitiveTypes.Int16, nil
	case reflect.Int32, reflect.Uint16:
		return arrow.PrimitiveTypes.Int32, nil
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return arrow.PrimitiveTypes.Int64, nil
	case reflect.Float32:
		return arrow.PrimitiveTypes.Float32, nil
	case reflect.Float64:
		return arrow.PrimitiveTypes.Float64, nil
	case reflect.Struct:
		return structType(t)
	case reflect.Map:
		return storedMap(t)
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return arrow.BinaryTypes.Binary, nil
		}
		elem, err := storedType(t.Elem())
		if err != nil {
			return nil, err
		}
		return arrow.ListOf(elem), nil
	}
	return nil, fmt.Errorf("a %s cannot be stored", t)
}

func storedMap(t reflect.Type) (arrow.DataType, error) {
	key, err := storedType(t.Key())
	if err != nil {
		return nil, err
	}
	item, err := storedType(t.Elem())
	if err != nil {
		return nil, err
	}
	return arrow.MapOf(key, item), nil
}

// A structWriter makes columns of structs of one type.
type structWriter struct {
	schema  *arrow.Schema
	columns map[reflect.Type][]structColumn // of the struct, and of those within it
}

// newStructWriter returns an error if a field cannot be stored.
func newStructWriter[T any]() (*structWriter, error) {
	t, err := structType(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	w := &structWriter{schema: arrow.NewSchema(t.Fields(), nil), columns: map[reflect.Type][]structColumn{}}
	w.learn(reflect.TypeFor[T]())
	return w, nil
}

// learn finds the struct types that a type contains, all of which structType has accepted.
func (w *structWriter) learn(t reflect.Type) {
	switch t = deref(t); t.Kind() {
	case reflect.Map:
		w.learn(t.Key())
		w.learn(t.Elem())
	case reflect.Slice, reflect.Array:
		w.learn(t.Elem())
	case reflect.Struct:
		cols, err := structColumns(t)
		if _, known := w.columns[t]; known || err != nil {
			return
		}
		w.columns[t] = cols
		for _, c := range cols {
			w.learn(c.field.Type)
		}
	}
}

// record makes a batch; rows is a slice of the struct type.
func (w *structWriter) record(rows reflect.Value) (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(memory.DefaultAllocator, w.schema)
	for i := range rows.Len() {
		if err := w.appendFields(b.Field, rows.Index(i)); err != nil {
			return nil, err
		}
	}
	return b.NewRecordBatch(), nil
}

// toRecord makes a batch of structs. For several batches, a structWriter is faster.
func toRecord[T any](rows []T) (arrow.RecordBatch, error) {
	w, err := newStructWriter[T]()
	if err != nil {
		return nil, err
	}
	return w.record(reflect.ValueOf(rows))
}

func (w *structWriter) appendFields(builder func(int) array.Builder, v reflect.Value) error {
	for i, c := range w.columns[v.Type()] {
		field, err := v.FieldByIndexErr(c.field.Index)
		if err != nil { // in an embedded struct that is nil
			builder(i).AppendNull()
			continue
		}
		if err := w.appendGo(builder(i), field); err != nil {
			return fmt.Errorf("column %q: %w", c.name, err)
		}
	}
	return nil
}

// appendGo appends a Go value to a builder of its stored type. Nil pointers, slices and maps are null.
func (w *structWriter) appendGo(b array.Builder, v reflect.Value) error {
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if k := v.Kind(); (k == reflect.Pointer || k == reflect.Slice || k == reflect.Map) && v.IsNil() {
		b.AppendNull()
		return nil
	}
	switch b := b.(type) {
	case *array.BooleanBuilder:
		b.Append(v.Bool())
	case *array.StringBuilder:
		b.Append(strings.ToValidUTF8(v.String(), "\ufffd"))
	case *array.BinaryBuilder:
		b.Append(v.Bytes())
	case *array.Float32Builder:
		b.Append(float32(v.Float()))
	case *array.Float64Builder:
		b.Append(v.Float())
	case *array.TimestampBuilder:
		b.Append(arrow.Timestamp(v.Interface().(time.Time).UnixMicro()))
	case *array.Date32Builder:
		b.Append(arrow.Date32FromTime(v.Interface().(time.Time)))
	case *array.Decimal128Builder:
		b.Append(v.Interface().(decimal128.Num))
	case *array.StructBuilder:
		b.Append(true)
		return w.appendFields(b.FieldBuilder, v)
	case *array.MapBuilder:
		return w.appendMap(b, v)
	case *array.ListBuilder:
		b.Append(true)
		for i := range v.Len() {
			if err := w.appendGo(b.ValueBuilder(), v.Index(i)); err != nil {
				return err
			}
		}
	default:
		return appendInteger(b, v)
	}
	return nil
}

func (w *structWriter) appendMap(b *array.MapBuilder, v reflect.Value) error {
	b.Append(true)
	for it := v.MapRange(); it.Next(); {
		if err := w.appendGo(b.KeyBuilder(), it.Key()); err != nil {
			return err
		}
		if err := w.appendGo(b.ItemBuilder(), it.Value()); err != nil {
			return err
		}
	}
	return nil
}

func appendInteger(b array.Builder, v reflect.Value) error {
	var n int64
	if v.CanUint() {
		if n = int64(v.Uint()); n < 0 {
			return fmt.Errorf("%d is more than a signed integer can hold", v.Uint())
		}
	} else {
		n = v.Int()
	}
	switch b := b.(type) {
	case *array.Int8Builder:
		b.Append(int8(n))
	case *array.Int16Builder:
		b.Append(int16(n))
	case *array.Int32Builder:
		b.Append(int32(n))
	case *array.Int64Builder:
		b.Append(n)
	default:
		return fmt.Errorf("no column of type %s is made of a %s", b.Type(), v.Type())
	}
	return nil
}
