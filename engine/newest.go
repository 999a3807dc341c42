package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Newest returns where the current samples are that were written last, at most n of them and only of the part, in the order
// in which they were written. It looks at the last commits only, and further back until it has found enough.
func Newest(ctx context.Context, snap store.Snapshot, f *feature.Feature, n int, p Part) ([]store.RowRef, error) {
	for back := int64(1); ; back *= 8 {
		after := snap.Version() - back
		refs, err := newestSince(ctx, snap, f, after, p)
		if err != nil {
			return nil, fmt.Errorf("newest rows of %q: %w", f.Key(), err)
		}
		if len(refs) >= n || after < 0 {
			return refs[max(len(refs)-n, 0):], nil
		}
	}
}

// newestSince returns the current samples among the rows that were added after a version.
func newestSince(ctx context.Context, snap store.Snapshot, f *feature.Feature, after int64, p Part) ([]store.RowRef, error) {
	ids := idColumns(f)
	q := store.Query{Columns: slices.Concat(ids, p.Columns), After: &after,
		Where: []store.Equal{{Column: feature.ColFeatureVersion, Value: f.Version()}}}
	if _, ok := store.Column(snap.Schema(), feature.ColDeletedAt); ok {
		q.Columns = append(q.Columns, feature.ColDeletedAt)
	}
	q.Columns = distinct(q.Columns)
	live := map[string]store.RowRef{}
	var buf []byte
	for b, err := range snap.Scan(ctx, q) {
		if err != nil {
			return nil, err
		}
		keys, err := keyColumns(b.RecordBatch, ids)
		if err != nil {
			return nil, err
		}
		deleted := columnOf(b.RecordBatch, feature.ColDeletedAt)
		for i := range int(b.NumRows()) {
			buf, _ = appendKey(buf[:0], keys, i)
			if deleted != nil && deleted.IsValid(i) || !p.has(b.RecordBatch, i) {
				delete(live, string(buf))
				continue
			}
			live[string(buf)] = b.Ref(i)
			if len(live) >= 2*keptNewest {
				forgetOldest(live)
			}
		}
	}
	refs := make([]store.RowRef, 0, len(live))
	for _, ref := range live {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	return refs, nil
}

// keptNewest is how many rows are kept in mind while later ones may turn out to replace or delete them.
const keptNewest = 1024

func forgetOldest(live map[string]store.RowRef) {
	refs := make([]store.RowRef, 0, len(live))
	for _, ref := range live {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	oldest := refs[len(refs)-keptNewest]
	for key, ref := range live {
		if ref < oldest {
			delete(live, key)
		}
	}
}
