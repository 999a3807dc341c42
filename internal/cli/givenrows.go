package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/ingest"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// givenRows are the rows of a file that are to be written.
type givenRows struct {
	source  ingest.Source
	table   *arrow.Schema // nil without a table
	feature *feature.Feature
}

// all yields the rows in batches of one schema.
func (g *givenRows) all(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		first := int64(0)
		for rec, err := range g.source.Rows(ctx, g.table, g.feature.Spec().IDColumns) {
			if err == nil && rec.NumRows() == 0 {
				continue
			}
			if err == nil {
				err = g.check(rec, first)
			}
			if err == nil {
				first += rec.NumRows()
				rec, err = g.plain(rec)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// check refuses rows that lack what every row needs. first is the number of the first row.
func (g *givenRows) check(rec arrow.RecordBatch, first int64) error {
	for _, name := range append(slices.Clone(g.feature.Spec().IDColumns), feature.ColProvenanceByField) {
		what := "the id column"
		if name == feature.ColProvenanceByField {
			what = "the column"
		}
		at := rec.Schema().FieldIndices(name)
		if len(at) != 1 {
			return fmt.Errorf("%w: %s: %s %q is missing", ingest.ErrInput, g.source.Name(first), what, name)
		}
		col := rec.Column(at[0])
		for i := range int(rec.NumRows()) {
			if col.IsNull(i) || col.DataType().ID() == arrow.NULL {
				return fmt.Errorf("%w: %s: %s %q has no value", ingest.ErrInput, g.source.Name(first+int64(i)), what, name)
			}
		}
	}
	return g.checkFields(rec, first)
}

// checkFields refuses rows without a version of a field: they would be stale in every run.
func (g *givenRows) checkFields(rec arrow.RecordBatch, first int64) error {
	s, ok := rec.Column(rec.Schema().FieldIndices(feature.ColProvenanceByField)[0]).(*array.Struct)
	if !ok {
		return nil // of a type that is refused when the row is completed, or a map
	}
	for _, f := range g.feature.Spec().Fields {
		at, ok := s.DataType().(*arrow.StructType).FieldIdx(f.Key.StructKey())
		for i := range s.Len() {
			if !ok || s.Field(at).IsNull(i) {
				return fmt.Errorf("%w: %s: %s has no version of the field %q", ingest.ErrInput, g.source.Name(first+int64(i)),
					feature.ColProvenanceByField, f.Key)
			}
		}
	}
	return nil
}

// plain leaves out the status, unless the table has a column of this name, and makes versions by field strings.
func (g *givenRows) plain(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	var fields []arrow.Field
	var cols []arrow.Array
	for i, f := range rec.Schema().Fields() {
		col := rec.Column(i)
		if f.Name == statusColumn && (g.table == nil || !g.table.HasField(statusColumn)) {
			continue
		}
		if s, ok := col.(*array.Struct); ok && rowjson.ByField(f.Name) {
			col = stringMembers(s)
			f.Type = col.DataType()
		}
		fields, cols = append(fields, f), append(cols, col)
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows()), nil
}

// stringMembers makes the members of a struct strings; a number becomes its text.
func stringMembers(s *array.Struct) arrow.Array {
	members := slices.Clone(s.DataType().(*arrow.StructType).Fields())
	children := make([]arrow.ArrayData, len(members))
	for m := range members {
		col := s.Field(m)
		if col.DataType().ID() != arrow.STRING {
			b := array.NewStringBuilder(memory.DefaultAllocator)
			for i := range col.Len() {
				if col.IsNull(i) {
					b.AppendNull()
					continue
				}
				b.Append(rowjson.Text(col, i))
			}
			col, members[m].Type = b.NewArray(), arrow.BinaryTypes.String
		}
		children[m] = col.Data()
	}
	d := s.Data()
	valid := array.NewBooleanBuilder(memory.DefaultAllocator)
	for i := range s.Len() {
		valid.Append(s.IsValid(i))
	}
	bits := valid.NewBooleanArray().Data().Buffers()[1]
	return array.MakeFromData(array.NewData(arrow.StructOf(members...), d.Len(), []*memory.Buffer{bits}, children, s.NullN(), 0))
}
