package metadata

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ErrVersion reports a rebase from a version that cannot be rebased from.
var ErrVersion = errors.New("metadata: no such feature version")

// RebaseOptions says which rows to rebase. From is required.
type RebaseOptions struct {
	// From is the feature version under which the rows are stored.
	From string
	// Filters leave out the samples for which any of these conditions does not hold; see package filter. Nil leaves out
	// none.
	Filters []string
	// Replace rebases samples too of which the feature's own version has a row, be it a deletion. False leaves these alone.
	Replace bool
}

// A Rebased counts what a rebase did.
type Rebased struct {
	store.Commit
	// Present are the samples of which the feature's own version has a row already.
	Present int64
	// Unexpected are the samples for which the feature has no provenance now: rows of its parents are gone or have no version.
	Unexpected int64
}

// Rebase writes the current samples of another feature version under the feature's own, in one commit, without computing
// them anew: with the provenance that they would have if they were computed now. It says that nothing in them has changed;
// whoever calls it has to know that. Data versions that were given, metaxy_created_at and all columns of the user's are
// kept.
func (t *Table) Rebase(ctx context.Context, o RebaseOptions) (Rebased, error) {
	if o.From == "" || o.From == t.Feature.Version() {
		return Rebased{}, fmt.Errorf("%w: %s is at %s, and its rows cannot be rebased from version %q", ErrVersion,
			t.Feature.Key(), t.Feature.Version(), o.From)
	}
	var out Rebased
	var err error
	out.Commit, err = again(ctx, func() (store.Commit, error) {
		out.Present, out.Unexpected = 0, 0
		return t.rebase(ctx, o, &out)
	})
	return out, err
}

func (t *Table) rebase(ctx context.Context, o RebaseOptions, out *Rebased) (store.Commit, error) {
	snap, version, err := t.seen(ctx)
	if err != nil {
		return store.Commit{}, err
	}
	present, err := t.present(ctx, snap, o)
	if err != nil {
		return store.Commit{}, err
	}
	read, written := int64(0), int64(0)
	rows := engine.Read(ctx, snap, t.Feature, engine.ReadOptions{
		AllFeatureVersions: true, FeatureVersion: o.From, Filters: o.Filters})
	rows = counted(t.without(rows, present, &out.Present), &read)
	rows = counted(engine.Rebase(ctx, t.Store, t.Feature, rows, t.Hashing), &written)
	info := map[string]string{"from_feature_version": o.From}
	c, err := t.append(ctx, rows, WriteOptions{Info: info}, "rebase", &version)
	out.Unexpected = read - written
	return c, err
}

// present are the keys of the samples of which the feature's own version has a row.
func (t *Table) present(ctx context.Context, snap store.Snapshot, o RebaseOptions) (map[string]bool, error) {
	present := map[string]bool{}
	if o.Replace {
		return present, nil
	}
	ids := t.Feature.Spec().IDColumns
	for rec, err := range engine.Read(ctx, snap, t.Feature, engine.ReadOptions{Columns: ids, IncludeDeleted: true}) {
		if err != nil {
			return nil, err
		}
		keys, err := samplekey.New(rec, ids)
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			if key, ok := keys.At(i); ok {
				present[key] = true
			}
		}
	}
	return present, nil
}

// without leaves out the rows of some samples and counts them.
func (t *Table) without(
	rows iter.Seq2[arrow.RecordBatch, error], present map[string]bool, n *int64,
) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for rec, err := range rows {
			var keys *samplekey.Keyer
			if err == nil {
				keys, err = samplekey.New(rec, t.Feature.Spec().IDColumns)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			var left []int
			for i := range int(rec.NumRows()) {
				if key, ok := keys.At(i); ok && present[key] {
					*n++
					continue
				}
				left = append(left, i)
			}
			rec, err = store.Take(rec, left)
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// counted adds the rows that it passes on to n.
func counted(rows iter.Seq2[arrow.RecordBatch, error], n *int64) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for rec, err := range rows {
			if err == nil {
				*n += rec.NumRows()
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}
