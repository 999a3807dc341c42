package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ReadReplaced finds the stored rows of f that were written at a time or later, by the clock of whoever wrote them, for
// rows that are not the outcome of a resolve; see [Increment.Replaced] and [Stamp].
func ReadReplaced(ctx context.Context, snap store.Snapshot, f *feature.Feature, since time.Time) (*Replaced, error) {
	r := &Replaced{names: idColumns(f), since: since.UnixMicro(), at: map[string]int64{}}
	q := store.Query{Columns: r.Columns(), Where: []store.Equal{{Column: feature.ColFeatureVersion, Value: f.Version()}}}
	for _, name := range append([]string{feature.ColUpdatedAt, feature.ColDeletedAt, feature.ColFeatureVersion}, r.names...) {
		if _, ok := store.Column(snap.Schema(), name); !ok && name != feature.ColDeletedAt && name != feature.ColUpdatedAt {
			return r, nil // the table has no rows that could be in the way
		}
	}
	for _, name := range []string{feature.ColUpdatedAt, feature.ColDeletedAt} {
		if _, ok := store.Column(snap.Schema(), name); ok {
			q.Columns = append(q.Columns, name)
		}
	}
	for b, err := range snap.Scan(ctx, q) {
		if err == nil {
			err = r.Note(b.RecordBatch)
		}
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", f.Key(), err)
		}
	}
	return r, nil
}
