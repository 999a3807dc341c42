package metadata

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Table is the stored rows of a feature. Store and Feature are required.
type Table struct {
	// Store keeps the rows. Of a store with fallbacks (see store.WithFallback) rows may be read from these; what is written
	// goes to the primary store.
	Store store.Store
	// Feature is the feature, in the version that rows are written for.
	Feature *feature.Feature
	// Hashing is how versions are made; the zero value is the whole output of xxh3_64.
	Hashing engine.Hashing
	// ProjectVersion is stored with every row that is written; "" stores null.
	ProjectVersion string
	// MaterializationID is stored with every row that is written; "" stores null.
	MaterializationID string
	// Now is the clock; nil means the system's.
	Now func() time.Time
	// SortBytes is about how large the rows of one write may be in memory to be sorted by their ids, which makes later reads
	// cheaper. Larger ones are written as they come, batch by batch. 0 means 256 MiB.
	SortBytes uint64
}

// attempts is how often a write starts over because another writer was faster.
const attempts = 20

// own returns the newest version of the table in the primary store, where rows are written to.
func (t *Table) own(ctx context.Context) (store.Snapshot, error) {
	snap, err := store.Local(t.Store).Snapshot(ctx, t.Feature.Key())
	if err != nil {
		return nil, err
	}
	return snap, t.Hashing.Check(snap, t.Feature.Key())
}

// seen returns what readers see of the table, from a fallback store too, and the version of the primary store's own.
func (t *Table) seen(ctx context.Context) (store.Snapshot, int64, error) {
	snap, err := t.own(ctx)
	if err == nil {
		return snap, snap.Version(), nil
	}
	if !errors.Is(err, store.ErrNoTable) {
		return nil, 0, err
	}
	if snap, err = t.Store.Snapshot(ctx, t.Feature.Key()); err != nil {
		return nil, 0, err
	}
	return snap, -1, t.Hashing.Check(snap, t.Feature.Key())
}

// again calls do until it does not lose against another writer.
func again(ctx context.Context, do func() (store.Commit, error)) (store.Commit, error) {
	for try := 1; ; try++ {
		c, err := do()
		if try == attempts || !errors.Is(err, store.ErrConflict) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return c, ctx.Err()
		case <-time.After(rand.N(10 * time.Millisecond << min(try, 6))):
		}
	}
}

// stamp is what all rows of one write have in common.
func (t *Table) stamp() engine.Stamp {
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	return engine.Stamp{MaterializationID: t.MaterializationID, Now: now().UTC().Truncate(time.Microsecond), Hashing: t.Hashing,
		ProjectVersion: t.ProjectVersion}
}
