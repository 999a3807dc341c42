package store

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Conform brings a batch to the columns of a schema of stored types: in its order, with nulls for columns and struct
// members that the batch lacks, and with values converted where that loses nothing (a struct becomes a map from its
// members' names). A timestamp finer than
// microseconds is cut, as everywhere in Delta. A column that the schema lacks (unless its type says nothing),
// and a value that does not fit, is an error wrapping ErrSchema.
func Conform(rec arrow.RecordBatch, to *arrow.Schema) (arrow.RecordBatch, error) {
	if rec.Schema().Equal(to) {
		return rec, nil
	}
	n := int(rec.NumRows())
	cols, err := conformFields(rec.Schema().Fields(), rec.Columns(), to.Fields(), n, "")
	if err != nil {
		return nil, err
	}
	return array.NewRecordBatch(to, cols, int64(n)), nil
}

func conformFields(
	have []arrow.Field, cols []arrow.Array, to []arrow.Field, n int, parent string,
) ([]arrow.Array, error) {
	from := make(map[string]int, len(have))
	for i, f := range have {
		if _, ok := from[f.Name]; ok {
			return nil, fmt.Errorf("%w: column %q occurs twice", ErrSchema, parent+f.Name)
		}
		from[f.Name] = i
		if slices.ContainsFunc(to, func(t arrow.Field) bool { return t.Name == f.Name }) {
			continue
		}
		if t, err := storedType(f.Type, parent+f.Name); err != nil || t != nil {
			return nil, fmt.Errorf("%w: column %q is not one of the table", ErrSchema, parent+f.Name)
		}
	}
	out := make([]arrow.Array, len(to))
	for i, t := range to {
		j, ok := from[t.Name]
		if !ok {
			out[i] = array.MakeArrayOfNull(memory.DefaultAllocator, t.Type, n)
			continue
		}
		var err error
		if out[i], err = conformArray(cols[j], t.Type, parent+t.Name); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func conformArray(a arrow.Array, to arrow.DataType, path string) (arrow.Array, error) {
	switch v := a.(type) {
	case array.ExtensionArray:
		return conformArray(v.Storage(), to, path)
	case *array.Dictionary:
		return conformDictionary(v, to, path)
	case *array.RunEndEncoded:
		return conformRuns(v, to, path)
	case *array.Null:
		return array.MakeArrayOfNull(memory.DefaultAllocator, to, v.Len()), nil
	}
	if arrow.TypeEqual(a.DataType(), to) {
		return a, nil
	}
	switch t := to.(type) {
	case *arrow.StructType:
		if s, ok := a.(*array.Struct); ok {
			return conformStruct(s, t, path)
		}
	case *arrow.MapType:
		if m, ok := a.(*array.Map); ok {
			return conformMap(m, t, path)
		}
		if s, ok := a.(*array.Struct); ok && entriesOf(s.DataType().(*arrow.StructType), t) {
			return structToMap(s, t, path)
		}
	case *arrow.ListType:
		if l, ok := a.(array.ListLike); ok && a.DataType().ID() != arrow.MAP {
			return conformList(l, t, path)
		}
	}
	if castable(a.DataType(), to) {
		return castScalar(a, to, path)
	}
	return nil, fmt.Errorf("%w: column %q is %s and has to be %s, which does not convert without loss",
		ErrSchema, path, a.DataType(), to)
}

func conformDictionary(d *array.Dictionary, to arrow.DataType, path string) (arrow.Array, error) {
	values, err := conformArray(d.Dictionary(), to, path)
	if err != nil {
		return nil, err
	}
	rows := make([]int, d.Len())
	for i := range rows {
		rows[i] = -1
		if !d.IsNull(i) {
			rows[i] = d.GetValueIndex(i)
		}
	}
	return TakeArray(values, rows)
}

func conformRuns(r *array.RunEndEncoded, to arrow.DataType, path string) (arrow.Array, error) {
	values, err := conformArray(r.Values(), to, path)
	if err != nil {
		return nil, err
	}
	rows := make([]int, r.Len())
	for i := range rows {
		rows[i] = r.GetPhysicalIndex(i)
	}
	return TakeArray(values, rows)
}

func conformStruct(s *array.Struct, to *arrow.StructType, path string) (arrow.Array, error) {
	cols := make([]arrow.Array, s.NumField())
	for i := range cols {
		cols[i] = s.Field(i)
	}
	have := s.DataType().(*arrow.StructType).Fields()
	members, err := conformFields(have, cols, to.Fields(), s.Len(), path+".")
	if err != nil {
		return nil, err
	}
	children := make([]arrow.ArrayData, len(members))
	for i, m := range members {
		children[i] = m.Data()
	}
	buffers := []*memory.Buffer{validity(s)}
	return array.MakeFromData(array.NewData(to, s.Len(), buffers, children, s.NullN(), 0)), nil
}

// validity returns the bitmap of an array's rows from its first row on, or nil when there are no nulls.
func validity(a arrow.Array) *memory.Buffer {
	if a.NullN() == 0 {
		return nil
	}
	bits := make([]byte, bitutil.BytesForBits(int64(a.Len())))
	bitutil.CopyBitmap(a.NullBitmapBytes(), a.Data().Offset(), a.Len(), bits, 0)
	return memory.NewBufferBytes(bits)
}

func conformMap(m *array.Map, to *arrow.MapType, path string) (arrow.Array, error) {
	entries := m.ListValues().(*array.Struct)
	cols := []arrow.Array{entries.Field(0), entries.Field(1)}
	key, err := conformArray(cols[0], to.KeyType(), path+".key")
	if err != nil {
		return nil, err
	}
	item, err := conformArray(cols[1], to.ItemType(), path+".value")
	if err != nil {
		return nil, err
	}
	children := []arrow.ArrayData{key.Data(), item.Data()}
	child := array.NewData(to.Elem(), entries.Len(), []*memory.Buffer{nil}, children, 0, 0)
	d := m.Data()
	return array.MakeFromData(array.NewData(to, d.Len(), d.Buffers(), []arrow.ArrayData{child}, m.NullN(), d.Offset())), nil
}

// structToMap makes an entry of each member, in their order, also of those that are null. Rows by field in a table whose
// versions Metaxy has written as maps stay what they are for Metaxy that way.
func structToMap(s *array.Struct, to *arrow.MapType, path string) (arrow.Array, error) {
	n, fields := s.Len(), s.DataType().(*arrow.StructType).Fields()
	offsets := make([]int32, 1, n+1)
	names := array.NewStringBuilder(memory.DefaultAllocator)
	var order []int // where the value of each entry is, with the members one after the other
	for i := range n {
		for m, f := range fields {
			if s.IsValid(i) {
				names.Append(f.Name)
				order = append(order, m*n+i)
			}
		}
		offsets = append(offsets, int32(len(order)))
	}
	members := make([]arrow.Array, len(fields))
	for m, f := range fields {
		var err error
		if members[m], err = conformArray(s.Field(m), to.ItemType(), path+"."+f.Name); err != nil {
			return nil, err
		}
	}
	values := array.MakeArrayOfNull(memory.DefaultAllocator, to.ItemType(), 0)
	if len(members) > 0 {
		all, err := array.Concatenate(members, memory.DefaultAllocator)
		if err == nil {
			values, err = TakeArray(all, order)
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", path, err)
		}
	}
	children := []arrow.ArrayData{names.NewArray().Data(), values.Data()}
	entries := array.NewData(to.Elem(), len(order), []*memory.Buffer{nil}, children, 0, 0)
	buffers := []*memory.Buffer{validity(s), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
	return array.MakeFromData(array.NewData(to, n, buffers, []arrow.ArrayData{entries}, s.NullN(), 0)), nil
}

func conformList(l array.ListLike, to *arrow.ListType, path string) (arrow.Array, error) {
	values, err := conformArray(l.ListValues(), to.Elem(), path+"[]")
	if err != nil {
		return nil, err
	}
	if v, ok := l.(*array.List); ok {
		d := v.Data()
		data := array.NewData(to, d.Len(), d.Buffers(), []arrow.ArrayData{values.Data()}, v.NullN(), d.Offset())
		return array.MakeFromData(data), nil
	}
	offsets := make([]int32, l.Len()+1)
	var elements []int
	for i := range l.Len() {
		if !l.IsNull(i) {
			start, end := l.ValueOffsets(i)
			for e := start; e < end; e++ {
				elements = append(elements, int(e))
			}
		}
		offsets[i+1] = int32(len(elements))
	}
	if values, err = TakeArray(values, elements); err != nil {
		return nil, fmt.Errorf("column %q: %w", path, err)
	}
	buffers := []*memory.Buffer{validity(l), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
	return array.MakeFromData(array.NewData(to, l.Len(), buffers, []arrow.ArrayData{values.Data()}, l.NullN(), 0)), nil
}
