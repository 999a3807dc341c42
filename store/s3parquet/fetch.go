package s3parquet

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

// Fetch implements store.Snapshot. Each file is read once, several at the same time.
func (s *snapshot) Fetch(ctx context.Context, rows []store.RowRef, columns []string) (arrow.RecordBatch, error) {
	p, err := s.plan(store.Query{Columns: columns})
	if err != nil {
		return nil, fmt.Errorf("fetch from %s: %w", s.URI(), err)
	}
	sorted := rows
	if !ascending(rows) {
		sorted = slices.Clone(rows)
		slices.Sort(sorted)
		sorted = slices.Compact(sorted)
	}
	if len(sorted) > 0 && int(sorted[len(sorted)-1].File()) >= len(s.Files) {
		return nil, fmt.Errorf("fetch from %s at version %d: there is no file %d; the row belongs to another snapshot",
			s.URI(), s.Version(), sorted[len(sorted)-1].File())
	}
	parts, err := s.fetchFiles(ctx, sorted, p)
	if err != nil {
		return nil, err
	}
	all, err := concatenate(parts, s.resultSchema(p))
	if err != nil {
		return nil, err
	}
	if len(sorted) == len(rows) && (len(rows) == 0 || &sorted[0] == &rows[0]) {
		return all, nil
	}
	order := make([]int, len(rows))
	for i, ref := range rows {
		order[i], _ = slices.BinarySearch(sorted, ref)
	}
	return store.Take(all, order)
}

// ascending reports whether each row comes after the one before.
func ascending(rows []store.RowRef) bool {
	for i := 1; i < len(rows); i++ {
		if rows[i] <= rows[i-1] {
			return false
		}
	}
	return true
}

// fetchFiles returns ascending rows, one batch per file.
func (s *snapshot) fetchFiles(ctx context.Context, rows []store.RowRef, p *plan) ([]arrow.RecordBatch, error) {
	var groups [][]store.RowRef
	for start, i := 0, 1; i <= len(rows); i++ {
		if i == len(rows) || rows[i].File() != rows[start].File() {
			groups = append(groups, rows[start:i])
			start = i
		}
	}
	parts := make([]arrow.RecordBatch, len(groups))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAhead)
	for i, group := range groups {
		g.Go(func() (err error) {
			parts[i], err = s.fetchFile(ctx, group, p)
			return err
		})
	}
	return parts, g.Wait()
}

func (s *snapshot) fetchFile(ctx context.Context, refs []store.RowRef, p *plan) (arrow.RecordBatch, error) {
	f := s.Files[refs[0].File()]
	d, err := s.open(ctx, f, columnar.ReadOptions{})
	if err != nil {
		return nil, err
	}
	defer d.source.Close()
	rows := make([]uint32, len(refs))
	for i, ref := range refs {
		rows[i] = ref.Row()
	}
	if last := rows[len(rows)-1]; int64(last) >= d.NumRows() {
		return nil, fmt.Errorf("fetch from %s: there is no row %d among %d; it belongs to another snapshot",
			d.uri, last, d.NumRows())
	}
	rec, err := d.Fetch(ctx, rows, p.query.Columns, p.table)
	if err == nil {
		rec, err = s.complete(rec, f, p)
	}
	return rec, d.explain(s, err)
}

// resultSchema is the schema of a plan's rows.
func (s *snapshot) resultSchema(p *plan) *arrow.Schema {
	fields := make([]arrow.Field, len(p.columns))
	for i, name := range p.columns {
		fields[i] = s.Schema().Field(s.Schema().FieldIndices(name)[0])
	}
	return arrow.NewSchema(fields, nil)
}

// concatenate puts batches of one schema after each other.
func concatenate(parts []arrow.RecordBatch, schema *arrow.Schema) (arrow.RecordBatch, error) {
	switch len(parts) {
	case 0:
		columns := make([]arrow.Array, schema.NumFields())
		for i, f := range schema.Fields() {
			columns[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, 0)
		}
		return array.NewRecordBatch(schema, columns, 0), nil
	case 1:
		return parts[0], nil
	}
	var n int64
	columns := make([]arrow.Array, schema.NumFields())
	for _, part := range parts {
		n += part.NumRows()
	}
	for i := range columns {
		chunks := make([]arrow.Array, len(parts))
		for j, part := range parts {
			chunks[j] = part.Column(i)
		}
		var err error
		if columns[i], err = array.Concatenate(chunks, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("column %q: %w", schema.Field(i).Name, err)
		}
	}
	return array.NewRecordBatch(schema, columns, n), nil
}
