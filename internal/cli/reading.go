package cli

import (
	"context"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/filter"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A reading prints rows of a table.
type reading struct {
	snap    store.Snapshot
	feature *feature.Feature
	columns []string // to print
	flags   readFlags

	filters []*filter.Expr
}

// print writes the rows to w once all of them could be read, and returns how many they were.
func (r *reading) print(ctx context.Context, w io.Writer) (n int64, err error) {
	o, err := r.options()
	if err != nil {
		return 0, err
	}
	schema, err := engine.ReadSchema(r.snap, r.feature, o)
	if err != nil {
		return 0, err
	}
	for _, f := range r.filters {
		if err := f.Check(schema); err != nil {
			return 0, err
		}
	}
	held := &spool{}
	defer closing(held, &err)
	out, err := newRowWriter(r.flags.format, held, prefix(schema, len(r.columns)), terminal(w))
	if err != nil {
		return 0, err
	}
	for rec, err := range engine.Read(ctx, r.snap, r.feature, o) {
		if err == nil {
			rec, err = r.pass(rec)
		}
		if err != nil {
			return 0, err
		}
		if r.flags.limit > 0 {
			rec = rec.NewSlice(0, min(rec.NumRows(), r.flags.limit-n))
		}
		n += rec.NumRows()
		if err := out.Write(rec); err != nil {
			return 0, err
		}
		if r.flags.limit > 0 && n >= r.flags.limit {
			break
		}
	}
	if err := out.Close(); err != nil {
		return 0, err
	}
	return n, held.Flush(w)
}

// options asks for the columns to print, and after them those that only the filters look at.
func (r *reading) options() (engine.ReadOptions, error) {
	columns := slices.Clone(r.columns)
	for _, text := range r.flags.filters {
		f, err := filter.Parse(text)
		if err != nil {
			return engine.ReadOptions{}, err
		}
		for _, name := range f.Columns() {
			if r.snap.Schema().HasField(name) && !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
		r.filters = append(r.filters, f)
	}
	return engine.ReadOptions{
		Columns: columns, AllSamples: r.flags.history || r.flags.sampleHistory, IncludeDeleted: r.flags.deleted,
		AllFeatureVersions: r.flags.history || r.flags.featureHistory || r.flags.featureVersion != "",
		FeatureVersion:     r.flags.featureVersion,
	}, nil
}

// pass keeps the rows for which all filters hold, with the columns to print.
func (r *reading) pass(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	for _, f := range r.filters {
		holds, err := f.Match(rec)
		if err != nil {
			return nil, err
		}
		var rows []int
		for i, yes := range holds {
			if yes {
				rows = append(rows, i)
			}
		}
		if rec, err = store.Take(rec, rows); err != nil {
			return nil, err
		}
	}
	return array.NewRecordBatch(prefix(rec.Schema(), len(r.columns)), rec.Columns()[:len(r.columns)], rec.NumRows()), nil
}

// prefix is the first n columns.
func prefix(s *arrow.Schema, n int) *arrow.Schema { return arrow.NewSchema(s.Fields()[:n], nil) }
