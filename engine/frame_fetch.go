package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// noRef stands for no row of a source.
const noRef = ^store.RowRef(0)

// A frameReader fetches rows of a frame.
type frameReader struct {
	frame    frame
	sources  []fetcher
	versions *versionPlan // nil if no column is computed
	scans    []tableScan  // of the sources; which members they read
	hashing  Hashing
	flags    conditions // what a flag column says of the first source
}

// A rowSet says which rows to read: for each source a list of references, all of one length, and the versions of the
// rows' groups, nil where each row has its own.
type rowSet struct {
	refs   [][]store.RowRef
	groups []*groups // may be shorter than refs
}

func (s rowSet) count() int { return len(s.refs[0]) }

func (s rowSet) slice(from, to int) rowSet {
	out := rowSet{refs: make([][]store.RowRef, len(s.refs)), groups: make([]*groups, len(s.groups))}
	for i, refs := range s.refs {
		out.refs[i] = refs[from:to]
	}
	for i, g := range s.groups {
		out.groups[i] = g.slice(from, to)
	}
	return out
}

// groupsOf are the groups of a source's rows, or nil.
func (s rowSet) groupsOf(source int) *groups {
	if source < len(s.groups) {
		return s.groups[source]
	}
	return nil
}

// read returns rows of the frame.
func (r *frameReader) read(ctx context.Context, rows rowSet) (arrow.RecordBatch, error) {
	n := len(rows.refs[0])
	parts := make([]sourceRows, len(r.sources))
	fetch, ctx := errgroup.WithContext(ctx)
	for s := range r.sources {
		fetch.Go(func() (err error) {
			parts[s], err = r.fetch(ctx, s, rows.refs[s])
			parts[s].groups = rows.groupsOf(s)
			return err
		})
	}
	if err := fetch.Wait(); err != nil {
		return nil, err
	}
	var computed versionArrays
	if r.computes() {
		var err error
		if computed, err = r.compute(parts, n); err != nil {
			return nil, err
		}
	}
	cols := make([]arrow.Array, len(r.frame.columns))
	for i, c := range r.frame.columns {
		field := r.frame.schema.Field(i)
		var err error
		switch {
		case c.version:
			cols[i] = computed.column(field.Name)
		case c.flag:
			cols[i], err = r.flags.column(parts[0].rec)
		case len(c.from) == 0:
			cols[i] = array.MakeArrayOfNull(memory.DefaultAllocator, field.Type, n)
		default:
			cols[i], err = coalesce(field, c.from, parts, n)
		}
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", field.Name, err)
		}
	}
	return array.NewRecordBatch(r.frame.schema, cols, int64(n)), nil
}

func (r *frameReader) computes() bool {
	return slices.ContainsFunc(r.frame.columns, func(c frameColumn) bool { return c.version })
}

// A sourceRows is what was fetched of one source, a row for each row of the frame.
type sourceRows struct {
	rec     arrow.RecordBatch // nil if the source has none of the rows
	missing []bool            // rows that the source has no row for; nil for none
	groups  *groups           // of the rows; nil if each has versions of its own
}

// fetch reads the columns of a source that the frame needs.
func (r *frameReader) fetch(ctx context.Context, source int, refs []store.RowRef) (sourceRows, error) {
	columns := r.columnsOf(source)
	if !slices.Contains(refs, noRef) {
		if len(columns) == 0 {
			return sourceRows{}, nil
		}
		rec, err := r.sources[source].Fetch(ctx, refs, columns)
		return sourceRows{rec: rec}, err
	}
	present := make([]store.RowRef, 0, len(refs))
	rows := make([]int, len(refs))
	missing := make([]bool, len(refs))
	for i, ref := range refs {
		rows[i], missing[i] = len(present), ref == noRef
		if missing[i] {
			rows[i] = -1
			continue
		}
		present = append(present, ref)
	}
	if len(columns) == 0 || len(present) == 0 {
		return sourceRows{missing: missing}, nil
	}
	rec, err := r.sources[source].Fetch(ctx, present, columns)
	if err != nil {
		return sourceRows{}, err
	}
	rec, err = store.Take(rec, rows)
	return sourceRows{rec: rec, missing: missing}, err
}

// columnsOf lists the stored columns of a source that the frame needs, each once.
func (r *frameReader) columnsOf(source int) []string {
	var out []string
	for _, c := range r.frame.columns {
		for _, from := range c.from {
			if from.source == source {
				out = append(out, from.stored)
			}
		}
	}
	if slices.ContainsFunc(r.frame.columns, func(c frameColumn) bool { return c.flag }) {
		out = append(out, r.flags.columns()...)
	}
	if r.computes() && len(r.scans[source].members) > 0 && r.scans[source].aggregation == nil {
		out = append(out, r.scans[source].byField)
	}
	return distinct(out)
}

// coalesce takes each of the n values of a column from the first source that has a row.
func coalesce(field arrow.Field, from []fetchColumn, parts []sourceRows, n int) (arrow.Array, error) {
	if len(from) == 1 {
		if rec := parts[from[0].source].rec; rec != nil {
			return columnOf(rec, from[0].stored), nil
		}
		return array.MakeArrayOfNull(memory.DefaultAllocator, field.Type, n), nil
	}
	arrays := make([]arrow.Array, len(from))
	rows := make([]int, n)
	for i := range rows {
		rows[i] = -1
	}
	for a := range from {
		part := parts[from[a].source]
		arrays[a] = array.MakeArrayOfNull(memory.DefaultAllocator, field.Type, n)
		if part.rec == nil {
			continue
		}
		col := columnOf(part.rec, from[a].stored)
		if a == 0 && part.missing == nil {
			return conformArray(col, field)
		}
		var err error
		if arrays[a], err = conformArray(col, field); err != nil {
			return nil, err
		}
		for i := range rows {
			if rows[i] < 0 && (part.missing == nil || !part.missing[i]) {
				rows[i] = a*n + i
			}
		}
	}
	all, err := array.Concatenate(arrays, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	return store.TakeArray(all, rows)
}

func conformArray(a arrow.Array, field arrow.Field) (arrow.Array, error) {
	one := arrow.NewSchema([]arrow.Field{{Name: field.Name, Type: a.DataType(), Nullable: true}}, nil)
	rec := array.NewRecordBatch(one, []arrow.Array{a}, int64(a.Len()))
	out, err := store.Conform(rec, arrow.NewSchema([]arrow.Field{field}, nil))
	if err != nil {
		return nil, err
	}
	return out.Column(0), nil
}
