package s3parquet

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// Delete implements store.Deleter: it writes what stays of the files that have such rows as new files, then commits.
func (s *Store) Delete(ctx context.Context, key feature.Key, d store.Deletion) (store.Commit, error) {
	t, err := s.table(key)
	if err != nil {
		return store.Commit{}, err
	}
	e := &eraser{store: s, table: t, deletion: d, known: map[string]*erasure{}}
	c, err := e.run(ctx)
	if err != nil {
		return store.Commit{}, fmt.Errorf("feature %s: %w", key, err)
	}
	return c, nil
}

// An eraser takes rows out of a table.
type eraser struct {
	store    *Store
	table    *delta.Table
	deletion store.Deletion

	known map[string]*erasure // by the name of the data file, all that were looked at
	total store.Commit        // what the newest plan does
}

// An erasure is what becomes of a data file.
type erasure struct {
	gone int64       // rows; 0: the file stays as it is
	left *fileWriter // has written the rows that stay; no file if there are none
	used bool        // by the newest plan
}

func (e *eraser) run(ctx context.Context) (store.Commit, error) {
	base, err := e.table.Snapshot(ctx)
	if err != nil {
		return store.Commit{}, err
	}
	version, err := e.table.Update(ctx, base, e.plan)
	switch {
	case err == nil:
		e.discard(ctx, func(r *erasure) bool { return !r.used })
	case undone(err):
		e.discard(ctx, func(*erasure) bool { return true })
	}
	e.total.Version = version
	return e.total, err
}

// discard removes new files that no commit names.
func (e *eraser) discard(ctx context.Context, unused func(*erasure) bool) {
	for _, r := range e.known {
		if len(r.left.names) > 0 && unused(r) {
			r.left.discard(ctx)
		}
	}
}

// plan decides what becomes of the files of a version. Those that it has seen in an earlier one are known.
func (e *eraser) plan(ctx context.Context, base *delta.Snapshot) (*delta.Change, error) {
	if err := base.Erasable(); err != nil {
		return nil, fmt.Errorf("delete from %s: %w", e.table.URI(), err)
	}
	snap := &snapshot{store: e.store, table: e.table, Snapshot: base}
	if err := e.examineAll(ctx, snap); err != nil {
		return nil, fmt.Errorf("delete from %s: %w", e.table.URI(), err)
	}
	change := &delta.Change{Info: e.deletion.Info, Operation: "DELETE",
		Parameters: map[string]string{"predicate": e.deletion.Predicate}}
	e.total = store.Commit{}
	copied := int64(0)
	for _, r := range e.known {
		r.used = false
	}
	for _, f := range base.Files {
		r := e.known[f.Name]
		if r == nil || r.gone == 0 {
			continue
		}
		r.used = true
		e.total.Rows += r.gone
		change.Removes = append(change.Removes, f.Name)
		for _, add := range r.left.done {
			add.Replaces = f.Name
			change.Files, change.Schema = append(change.Files, add), r.left.schema
			e.total.Files++
			e.total.Bytes += r.left.bytes
			copied += r.left.rows
		}
	}
	if len(change.Removes) == 0 {
		return nil, nil
	}
	change.Metrics = map[string]int64{"num_deleted_rows": e.total.Rows, "num_copied_rows": copied, "num_added_rows": 0}
	return change, nil
}

// examineAll looks at the files that may have such rows and are not known.
func (e *eraser) examineAll(ctx context.Context, snap *snapshot) error {
	q := store.Query{Columns: e.deletion.Columns, Where: e.deletion.Where}
	if e.deletion.Match == nil {
		q.Columns = []string{}
	}
	p, err := snap.plan(q)
	if err != nil {
		return err
	}
	all, err := snap.plan(store.Query{})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAhead)
	for _, ordinal := range snap.matching(q) {
		f := snap.Files[ordinal]
		if _, ok := e.known[f.Name]; ok {
			continue
		}
		r := &erasure{left: &fileWriter{store: e.store, table: e.table, base: snap.Snapshot, sortedBy: sortedBy(f), whole: true}}
		e.known[f.Name] = r
		g.Go(func() error { return e.examine(ctx, snap, f, r, p, all) })
	}
	return g.Wait()
}

// examine finds the rows of a file that go, and writes the others if there are some.
func (e *eraser) examine(ctx context.Context, snap *snapshot, f *delta.File, r *erasure, chosen, all *plan) (err error) {
	d, err := snap.open(ctx, f, chosen.read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.source.Close()) }()
	var gone []uint32
	for b, err := range d.Scan(ctx, chosen.query, 0, chosen.table) {
		if err != nil {
			return d.explain(snap, err)
		}
		goes, err := e.deletion.Choose(b.RecordBatch)
		if err != nil {
			return err
		}
		for i, yes := range goes {
			if yes {
				gone = append(gone, b.Ref(i).Row())
			}
		}
	}
	if r.gone = int64(len(gone)); r.gone == 0 || r.gone == d.NumRows() {
		return nil
	}
	return r.left.writeAll(ctx, func(yield func(arrow.RecordBatch, error) bool) {
		for b, err := range d.Scan(ctx, all.query, 0, all.table) {
			if err != nil {
				yield(nil, d.explain(snap, err))
				return
			}
			var rec arrow.RecordBatch
			if rec, gone, err = without(b, gone); !yield(rec, err) || err != nil {
				return
			}
		}
	})
}

// without returns a batch of consecutive rows without those that go, and which of these come after it. They ascend.
func without(b store.Batch, gone []uint32) (arrow.RecordBatch, []uint32, error) {
	n := int(b.NumRows())
	if len(gone) == 0 || gone[0] >= b.First+uint32(n) {
		return b.RecordBatch, gone, nil
	}
	stay := make([]int, 0, n)
	for i := range n {
		if len(gone) > 0 && gone[0] == b.First+uint32(i) {
			gone = gone[1:]
			continue
		}
		stay = append(stay, i)
	}
	rec, err := store.Take(b.RecordBatch, stay)
	return rec, gone, err
}
