package store

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Project returns the columns that a scan of a table with the given columns yields, and checks the query against
// them. A member that the table's struct does not have gets the type string, which is what the members of
// Metaxy's struct columns are. Members of columns that are not asked for are ignored.
func (q Query) Project(table *arrow.Schema) (*arrow.Schema, error) {
	for _, w := range q.Where {
		f, ok := Column(table, w.Column)
		if !ok {
			return nil, fmt.Errorf("%w: the table has no column %q", ErrSchema, w.Column)
		}
		if f.Type.ID() != arrow.STRING {
			return nil, fmt.Errorf("%w: column %q is %s; only strings can be compared", ErrSchema, w.Column, f.Type)
		}
	}
	if q.Columns == nil && len(q.Members) == 0 {
		return table, nil
	}
	fields, err := selectColumns(table, q.Columns)
	if err != nil {
		return nil, err
	}
	for i, f := range fields {
		names, ok := q.Members[f.Name]
		if !ok {
			continue
		}
		if fields[i].Type, err = selectMembers(f, names); err != nil {
			return nil, err
		}
	}
	return arrow.NewSchema(fields, nil), nil
}

// Column returns the first column of that name.
func Column(s *arrow.Schema, name string) (arrow.Field, bool) {
	if i := s.FieldIndices(name); len(i) > 0 {
		return s.Field(i[0]), true
	}
	return arrow.Field{}, false
}

func selectColumns(table *arrow.Schema, names []string) ([]arrow.Field, error) {
	if names == nil {
		return slices.Clone(table.Fields()), nil
	}
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		f, ok := Column(table, name)
		if !ok {
			return nil, fmt.Errorf("%w: the table has no column %q", ErrSchema, name)
		}
		fields[i] = f
	}
	return fields, nil
}

func selectMembers(f arrow.Field, names []string) (arrow.DataType, error) {
	t, ok := f.Type.(*arrow.StructType)
	if f.Type.ID() == arrow.MAP {
		return f.Type, nil
	}
	if !ok {
		return nil, fmt.Errorf("%w: column %q is %s and has no members", ErrSchema, f.Name, f.Type)
	}
	members := make([]arrow.Field, len(names))
	for i, name := range names {
		if m, ok := t.FieldByName(name); ok {
			members[i] = m
			continue
		}
		members[i] = arrow.Field{Name: name, Type: arrow.BinaryTypes.String, Nullable: true}
	}
	return arrow.StructOf(members...), nil
}

// projectBatch picks from a batch with all columns of its table those of a projected schema.
func projectBatch(rec arrow.RecordBatch, to *arrow.Schema) arrow.RecordBatch {
	if rec.Schema() == to {
		return rec
	}
	cols := make([]arrow.Array, to.NumFields())
	for i, f := range to.Fields() {
		col := rec.Column(rec.Schema().FieldIndices(f.Name)[0])
		if !arrow.TypeEqual(col.DataType(), f.Type) {
			col = projectMembers(col.(*array.Struct), f.Type.(*arrow.StructType))
		}
		cols[i] = col
	}
	return array.NewRecordBatch(to, cols, rec.NumRows())
}

func projectMembers(s *array.Struct, to *arrow.StructType) arrow.Array {
	children := make([]arrow.ArrayData, to.NumFields())
	for i, f := range to.Fields() {
		if j, ok := s.DataType().(*arrow.StructType).FieldIdx(f.Name); ok {
			children[i] = s.Field(j).Data()
			continue
		}
		children[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, s.Len()).Data()
	}
	buffers := []*memory.Buffer{validity(s)}
	return array.MakeFromData(array.NewData(to, s.Len(), buffers, children, s.NullN(), 0))
}
