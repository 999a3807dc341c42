package s3parquet

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// A plan is what a query asks of one data file. The values of partition columns are in the log; a file has the others.
type plan struct {
	query   store.Query   // for the file: without partition columns
	table   *arrow.Schema // the table's columns that are in files
	columns []string      // of the result, in order
	read    columnar.ReadOptions
}

// plan splits a query. A column that the table does not have is an error wrapping store.ErrSchema.
func (s *snapshot) plan(q store.Query) (*plan, error) {
	if _, err := q.Project(s.Schema()); err != nil {
		return nil, err
	}
	p := &plan{query: q, table: s.Schema(), columns: q.Columns}
	if p.columns == nil {
		for _, f := range s.Schema().Fields() {
			p.columns = append(p.columns, f.Name)
		}
	}
	if len(s.MetaData.PartitionColumns) == 0 {
		return p, nil
	}
	inFiles := slices.DeleteFunc(slices.Clone(s.Schema().Fields()), func(f arrow.Field) bool { return s.Partition(f.Name) })
	p.table = arrow.NewSchema(inFiles, nil)
	p.query.Columns = slices.DeleteFunc(slices.Clone(p.columns), s.Partition)
	if p.query.Columns == nil {
		p.query.Columns = []string{}
	}
	p.query.Where = slices.DeleteFunc(slices.Clone(q.Where), func(e store.Equal) bool { return s.Partition(e.Column) })
	return p, nil
}

// mayMatch reports whether a file can hold rows that match the conditions, as far as the log tells. Conditions on
// partition columns are decided here.
func (s *snapshot) mayMatch(f *delta.File, where []store.Equal) bool {
	var stats *delta.Stats
	for _, e := range where {
		if s.Partition(e.Column) {
			if v, ok := f.PartitionValue(e.Column); !ok || v != e.Value {
				return false
			}
			continue
		}
		if stats == nil {
			parsed := f.ParseStats()
			stats = &parsed
		}
		if !stats.MayHold(e.Column, e.Value) {
			return false
		}
	}
	return true
}

// complete adds the partition columns of a file to its rows, in the order of the plan.
func (s *snapshot) complete(rec arrow.RecordBatch, f *delta.File, p *plan) (arrow.RecordBatch, error) {
	if len(s.MetaData.PartitionColumns) == 0 {
		return rec, nil
	}
	fields := make([]arrow.Field, len(p.columns))
	columns := make([]arrow.Array, len(p.columns))
	next := 0
	for i, name := range p.columns {
		if !s.Partition(name) {
			fields[i], columns[i] = rec.Schema().Field(next), rec.Column(next)
			next++
			continue
		}
		col, err := s.PartitionColumn(f, name, int(rec.NumRows()))
		if err != nil {
			return nil, err
		}
		fields[i] = arrow.Field{Name: name, Type: col.DataType(), Nullable: true}
		columns[i] = col
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, rec.NumRows()), nil
}
