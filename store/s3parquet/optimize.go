package s3parquet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

var _ store.Optimizer = (*Store)(nil)

// Optimize implements store.Optimizer: it merges small or unsorted files that follow each other into large sorted ones, a
// commit for each merge. It holds a bounded part of the rows in memory and what does not fit in temporary files, no more than
// about twice the size of eight full files. Partitioned tables, which only others make, are left alone.
func (s *Store) Optimize(ctx context.Context, key feature.Key, o store.Optimization) (store.Optimized, error) {
	t, err := s.table(key)
	if err != nil {
		return store.Optimized{}, err
	}
	base, err := t.Snapshot(ctx)
	if err != nil {
		return store.Optimized{}, fmt.Errorf("feature %s: %w", key, err)
	}
	m := &mover{store: s, table: t, o: o}
	m.total.Version = base.Version
	if err := m.run(ctx, base); err != nil {
		return m.total, fmt.Errorf("feature %s: optimize %s: %w", key, t.URI(), err)
	}
	return m.total, nil
}

// A mover moves the rows of a table into other files.
type mover struct {
	store *Store
	table *delta.Table
	o     store.Optimization
	total store.Optimized
}

func (m *mover) run(ctx context.Context, base *delta.Snapshot) error {
	if err := base.Writable(); err != nil {
		return err
	}
	if len(base.MetaData.PartitionColumns) > 0 {
		return nil
	}
	t := tiering{sortBy: sortable(base.Schema, m.o.SortBy), target: m.store.opts.TargetFileSize, least: m.o.Least}
	for _, group := range t.groups(base.Files) {
		err := m.move(ctx, base, group, t.sortBy)
		if errors.Is(err, store.ErrConflict) {
			return nil // another one is at it
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sortable returns the columns if rows can be sorted by them, else nil.
func sortable(schema *arrow.Schema, by []string) []string {
	for _, name := range by {
		f, ok := store.Column(schema, name)
		if !ok || !slices.Contains([]arrow.Type{arrow.STRING, arrow.INT64, arrow.INT32, arrow.INT16, arrow.INT8}, f.Type.ID()) {
			return nil
		}
	}
	return by
}

// move writes the rows of files that follow each other anew, and commits that in the place of the first of them.
func (m *mover) move(ctx context.Context, base *delta.Snapshot, group []*delta.File, by []string) error {
	snap := m.part(base, group)
	runs, ordered, err := snap.runs(ctx, by)
	if err != nil {
		return err
	}
	var w *fileWriter
	if ordered {
		w, err = m.write(ctx, base, by, snap.merged(ctx, runs, by))
	}
	if !ordered || errors.Is(err, errOutOfOrder) {
		w, err = m.write(ctx, base, by, m.sorted(snap.Scan(ctx, store.Query{}), by))
	}
	var version int64
	if err == nil {
		if version, err = m.table.Update(ctx, base, m.plan(w, group)); err != nil && undone(err) {
			w.discard(ctx)
		}
	}
	if err != nil {
		return err
	}
	m.total.Version = version
	m.total.Removed += len(group)
	m.total.Added += len(w.done)
	m.total.BytesRemoved += sizes(group)
	m.total.BytesAdded += w.bytes
	m.total.Rows += w.rows
	return nil
}

// part is a table of some of the files.
func (m *mover) part(base *delta.Snapshot, files []*delta.File) *snapshot {
	part := *base
	part.Files = files
	return &snapshot{store: m.store, table: m.table, Snapshot: &part}
}

// write writes rows to files, which are in no commit yet. There are none after an error.
func (m *mover) write(ctx context.Context, base *delta.Snapshot, by []string, rows iter.Seq2[arrow.RecordBatch, error]) (*fileWriter, error) {
	w := &fileWriter{store: m.store, table: m.table, base: base, sortedBy: by}
	err := w.writeAll(ctx, rows)
	if err != nil && undone(err) {
		w.discard(ctx)
	}
	return w, err
}

// runs puts the files into a few runs that seem to be in order, as files are that runs have left; false if they are none.
func (s *snapshot) runs(ctx context.Context, by []string) ([]store.SortedRun, bool, error) {
	if len(by) == 0 {
		return nil, false, nil
	}
	return s.SortedRuns(ctx, by[0], fanIn)
}

// errOutOfOrder reports rows that are in another order than their files said.
var errOutOfOrder = errors.New("sort: rows are out of order")

// merged yields the rows of runs in order, and errOutOfOrder if a run is in none. Rows that are equal in the columns keep theirs.
func (s *snapshot) merged(ctx context.Context, runs []store.SortedRun, by []string) iter.Seq2[arrow.RecordBatch, error] {
	sorted := make([]iter.Seq2[store.Batch, error], len(runs))
	for i, run := range runs {
		q := store.Query{ReadAhead: scanAhead / int64(len(runs))}
		for _, f := range run {
			q.Files = append(q.Files, f.Ordinal)
		}
		sorted[i] = inOrder(s.Scan(ctx, q), by)
	}
	return mergeSorted(sorted, by)
}

// inOrder yields batches as they come, and errOutOfOrder before one that does not come in order.
func inOrder(scan iter.Seq2[store.Batch, error], by []string) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		var before arrow.RecordBatch
		for b, err := range scan {
			if err == nil && b.NumRows() > 0 {
				err = checkOrder(before, b.RecordBatch, by)
				before = b.RecordBatch
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// checkOrder returns an error if rows do not ascend, or do not come after those of the batch before; nil is none.
func checkOrder(before, rows arrow.RecordBatch, by []string) error {
	batches := []arrow.RecordBatch{rows}
	if before != nil {
		batches = append(batches, before.NewSlice(before.NumRows()-1, before.NumRows()))
	}
	compare := store.RowComparer(batches, by)
	if compare == nil {
		return errNoOrder
	}
	if before != nil && compare(store.RowAt{Batch: 1}, store.RowAt{}) > 0 {
		return errOutOfOrder
	}
	for i := uint32(1); i < uint32(rows.NumRows()); i++ {
		if compare(store.RowAt{Row: i - 1}, store.RowAt{Row: i}) > 0 {
			return errOutOfOrder
		}
	}
	return nil
}

// sorted yields rows in order. Rows that are equal in the columns keep theirs.
func (m *mover) sorted(scan iter.Seq2[store.Batch, error], by []string) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		s := &sorter{by: by, budget: m.store.opts.SortMemory}
		defer s.Close() // temporary files that are in nobody's way
		for b, err := range scan {
			if err == nil {
				err = s.add(b.RecordBatch)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
		s.rows()(yield)
	}
}

// plan is the change that a merge makes to whatever version it is committed to.
func (m *mover) plan(w *fileWriter, group []*delta.File) delta.Planner {
	return func(_ context.Context, base *delta.Snapshot) (*delta.Change, error) {
		c := &delta.Change{Schema: w.schema, Rows: w.rows, Moved: true, Info: m.o.Info, Operation: "OPTIMIZE",
			Parameters: map[string]string{"predicate": "[]", "targetSize": fmt.Sprint(m.store.opts.TargetFileSize)},
			Metrics:    map[string]int64{"num_removed_bytes": sizes(group)}}
		for _, f := range group {
			c.Removes = append(c.Removes, f.Name)
		}
		for _, add := range w.done {
			add.Replaces = group[0].Name
			c.Files = append(c.Files, add)
		}
		if m.o.Marks != nil && base != nil {
			c.Marks = m.o.Marks(&snapshot{store: m.store, table: m.table, Snapshot: base}, base.Version+1)
		}
		return c, nil
	}
}

func sizes(files []*delta.File) int64 {
	n := int64(0)
	for _, f := range files {
		n += f.Size
	}
	return n
}
