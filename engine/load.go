package engine

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A tableScan says what to read of a feature's table in order to decide.
type tableScan struct {
	key     feature.Key
	snap    store.Snapshot
	version string   // the feature version of the rows to read; "" reads all
	keys    []string // the columns that rows are told apart and joined by
	ids     []int    // of keys: those that identify a sample
	byField string   // the by-field column whose members are read
	members []string // its members
	texts   []string // other columns of versions

	aggregation *aggregation // nil: every row has its own versions
	filters     conditions   // on rows that stand for a sample; all must hold
	flags       conditions   // on stored samples, any of which makes a sample stale
}

// A chunk is a batch of a table, prepared for reading row by row.
type chunk struct {
	batch            store.Batch // without columns; it only knows where its rows are
	keys             []keyColumn
	texts            []cells // the members, then the other columns of versions
	updated, deleted cells
	passes           bitmap // the filters
	flagged          bitmap // by a condition of staleness; unset if there is none
}

// time is what decides which row of a sample is the newest: when it was deleted or else written. No time is the
// oldest.
func (c *chunk) time(i int) int64 {
	switch {
	case !c.deleted.isNull(i):
		return c.deleted.fixed[i]
	case !c.updated.isNull(i):
		return c.updated.fixed[i]
	}
	return math.MinInt64
}

// load reads a table and keeps the newest row of each sample.
func (s *tableScan) load(ctx context.Context) (*table, error) {
	t := newTable(s.ids)
	t.reserve(s.snap.RowsHint())
	for b, err := range s.snap.Scan(ctx, s.query()) {
		if err != nil {
			return nil, fmt.Errorf("read table %q: %w", s.key, err)
		}
		c, err := s.prepare(b)
		if err != nil {
			return nil, fmt.Errorf("read table %q: %w", s.key, err)
		}
		if err := t.addNewest(c, int(b.NumRows())); err != nil {
			return nil, fmt.Errorf("read table %q: %w", s.key, err)
		}
	}
	return t, nil
}

// query asks for the columns that the scan needs and the table has; those it lacks are read as nulls.
func (s *tableScan) query() store.Query {
	q := store.Query{Columns: slices.Clone(s.keys)}
	add := func(name string) {
		if _, ok := store.Column(s.snap.Schema(), name); ok && !slices.Contains(q.Columns, name) {
			q.Columns = append(q.Columns, name)
		}
	}
	if len(s.members) > 0 {
		add(s.byField)
		q.Members = map[string][]string{s.byField: s.members}
	}
	for _, name := range s.texts {
		add(name)
	}
	for _, name := range slices.Concat(s.filters.columns(), s.flags.columns()) {
		add(name)
	}
	add(feature.ColUpdatedAt)
	add(feature.ColDeletedAt)
	if s.version != "" {
		q.Where = []store.Equal{{Column: feature.ColFeatureVersion, Value: s.version}}
	}
	return q
}

func (s *tableScan) prepare(b store.Batch) (chunk, error) {
	c := chunk{batch: store.Batch{File: b.File, First: b.First, Rows: b.Rows}}
	var err error
	if c.keys, err = keyColumns(b.RecordBatch, s.keys); err != nil {
		return chunk{}, err
	}
	if c.texts, err = textColumns(b.RecordBatch, s.byField, s.members, s.texts); err != nil {
		return chunk{}, err
	}
	if c.updated, err = timeColumn(b.RecordBatch, feature.ColUpdatedAt); err != nil {
		return chunk{}, err
	}
	if c.deleted, err = timeColumn(b.RecordBatch, feature.ColDeletedAt); err != nil {
		return chunk{}, err
	}
	if c.passes, err = s.filters.all(b.RecordBatch); err != nil {
		return chunk{}, err
	}
	c.flagged, err = s.flags.any(b.RecordBatch)
	return c, err
}

// columnOf returns the named column, or nil.
func columnOf(rec arrow.RecordBatch, name string) arrow.Array {
	if i := rec.Schema().FieldIndices(name); len(i) > 0 {
		return rec.Column(i[0])
	}
	return nil
}

func keyColumns(rec arrow.RecordBatch, names []string) ([]keyColumn, error) {
	out := make([]keyColumn, len(names))
	for i, name := range names {
		a := columnOf(rec, name)
		if a == nil {
			return nil, fmt.Errorf("%w: there is no column %q; the feature's id columns must be there", ErrRows, name)
		}
		c, err := cellsOf(a)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
		out[i] = keyColumn{cells: c, class: classOf(a.DataType())}
	}
	return out, nil
}

// textColumns prepares the members of the by-field column, then the other columns. What is not there is null.
func textColumns(rec arrow.RecordBatch, byField string, members, others []string) ([]cells, error) {
	out := make([]cells, 0, len(members)+len(others))
	for _, m := range members {
		c := nullCells(int(rec.NumRows()))
		if a := columnOf(rec, byField); a != nil {
			var err error
			if c, err = memberCells(a, m); err != nil {
				return nil, fmt.Errorf("column %q: %w", byField, err)
			}
		}
		out = append(out, c)
	}
	for _, name := range others {
		c := nullCells(int(rec.NumRows()))
		if a := columnOf(rec, name); a != nil {
			var err error
			if c, err = textCells(a); err != nil {
				return nil, fmt.Errorf("column %q: %w", name, err)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func timeColumn(rec arrow.RecordBatch, name string) (cells, error) {
	a := columnOf(rec, name)
	if a == nil {
		return nullCells(int(rec.NumRows())), nil
	}
	switch a.DataType().ID() {
	case arrow.TIMESTAMP, arrow.NULL:
		return cellsOf(a)
	}
	return cells{}, fmt.Errorf("%w: column %q is of type %s; expected a timestamp", ErrRows, name, a.DataType())
}
