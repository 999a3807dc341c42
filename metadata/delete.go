package metadata

import (
	"context"
	"iter"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// DeleteOptions says what to delete, and how. The zero value soft-deletes all current samples.
type DeleteOptions struct {
	// Filters choose the rows for which all conditions hold; see package filter. A soft deletion asks the current samples,
	// a hard one every stored row. Nil chooses all.
	Filters []string
	// Hard takes the rows out of the table, older rows and deletions among them. False appends a row for each sample that
	// says when it was deleted.
	Hard bool
	// WithFeatureHistory deletes rows of all feature versions; false only those of the feature's own. A soft deletion
	// writes its rows under the feature's own version in either case, as Metaxy does, so that rows of other versions are
	// seen as before.
	WithFeatureHistory bool
	// WithSampleHistory makes a soft deletion append a row for each live row of a sample; false for the newest only. A hard
	// one takes them all in any case.
	WithSampleHistory bool
}

// Delete deletes rows, in one commit. If nothing is chosen, nothing is committed. Without a table it returns an error
// wrapping store.ErrNoTable. Commit.Rows are the rows that were written by a soft deletion, or taken out by a hard one.
func (t *Table) Delete(ctx context.Context, o DeleteOptions) (store.Commit, error) {
	if o.Hard {
		return t.erase(ctx, o)
	}
	return again(ctx, func() (store.Commit, error) { return t.bury(ctx, o) })
}

// Chosen counts the rows that Delete would delete now.
func (t *Table) Chosen(ctx context.Context, o DeleteOptions) (int64, error) {
	if o.Hard {
		return t.doomed(ctx, o)
	}
	snap, _, err := t.seen(ctx)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for rec, err := range engine.Read(ctx, snap, t.Feature, o.read()) {
		if err != nil {
			return 0, err
		}
		n += rec.NumRows()
	}
	return n, nil
}

// doomed counts the rows of a hard deletion.
func (t *Table) doomed(ctx context.Context, o DeleteOptions) (int64, error) {
	snap, d, err := t.hard(ctx, o)
	if err != nil {
		return 0, err
	}
	n := int64(0)
	if d.Match == nil {
		d.Columns = []string{}
	}
	for b, err := range snap.Scan(ctx, store.Query{Columns: d.Columns, Where: d.Where}) {
		if err != nil {
			return 0, err
		}
		chosen, err := d.Choose(b.RecordBatch)
		if err != nil {
			return 0, err
		}
		for _, yes := range chosen {
			if yes {
				n++
			}
		}
	}
	return n, nil
}

// read is which rows a soft deletion reads.
func (o DeleteOptions) read() engine.ReadOptions {
	return engine.ReadOptions{Filters: o.Filters, AllSamples: o.WithSampleHistory, AllFeatureVersions: o.WithFeatureHistory}
}

// bury appends the soft deletions to the version of the table that they were made for.
func (t *Table) bury(ctx context.Context, o DeleteOptions) (store.Commit, error) {
	snap, version, err := t.seen(ctx)
	if err == nil {
		_, err = engine.ReadSchema(snap, t.Feature, o.read())
	}
	if err != nil {
		return store.Commit{}, err
	}
	return t.Store.Append(ctx, t.Feature.Key(), store.Write{
		Rows: t.tombstones(ctx, snap, o), Expect: &version, Properties: t.Hashing.Properties(),
		Info: info("delete", map[string]string{"filter": strings.Join(o.Filters, " AND ")}),
	})
}

func (t *Table) tombstones(ctx context.Context, snap store.Snapshot, o DeleteOptions) iter.Seq2[arrow.RecordBatch, error] {
	stamp := t.stamp()
	return func(yield func(arrow.RecordBatch, error) bool) {
		for rec, err := range engine.Read(ctx, snap, t.Feature, o.read()) {
			if err == nil {
				rec, err = engine.Tombstones(t.Feature, rec, stamp)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// hard is the table, and which of its rows a hard deletion chooses.
func (t *Table) hard(ctx context.Context, o DeleteOptions) (store.Snapshot, store.Deletion, error) {
	snap, err := t.own(ctx)
	if err != nil {
		return nil, store.Deletion{}, err
	}
	d, err := engine.Deletion(snap, t.Feature, o.Filters, o.WithFeatureHistory)
	return snap, d, err
}

// erase takes rows out. The store looks at what others append meanwhile.
func (t *Table) erase(ctx context.Context, o DeleteOptions) (store.Commit, error) {
	_, d, err := t.hard(ctx, o)
	if err != nil {
		return store.Commit{}, err
	}
	return t.Store.Delete(ctx, t.Feature.Key(), d)
}
