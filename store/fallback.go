package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A Fallback is a store that reads the tables it does not have from other stores. What decides is whether there is a
// table: one without rows, or with some rows only, hides those of the other stores. Writes go to the primary store.
type Fallback struct {
	// Store is the primary store.
	Store
	fallbacks []Reader
}

// WithFallback returns a store that has the tables of primary and, where it has none, those of the first of the
// fallbacks that has one. Close closes primary only; the fallbacks are the caller's.
func WithFallback(primary Store, fallbacks ...Reader) *Fallback {
	return &Fallback{Store: primary, fallbacks: fallbacks}
}

// Snapshot returns the newest version of the feature's table in the first store that has one. The error of a feature
// that no store has is the primary's.
func (f *Fallback) Snapshot(ctx context.Context, key feature.Key) (Snapshot, error) {
	snap, err := f.Store.Snapshot(ctx, key)
	if !errors.Is(err, ErrNoTable) {
		return snap, err
	}
	for i, r := range f.fallbacks {
		snap, other := r.Snapshot(ctx, key)
		switch {
		case other == nil:
			return snap, nil
		case !errors.Is(other, ErrNoTable):
			return nil, fmt.Errorf("fallback store %d: %w", i+1, other)
		}
	}
	return nil, err
}

// Local is the primary store.
func (f *Fallback) Local() Reader { return f.Store }

// Local returns what reads the tables of r itself, without those that r reads from other stores: r.Local() if r has such
// a method, else r. Whoever asks what a feature's own table has, in order to add to it, asks that.
func Local(r Reader) Reader {
	for {
		f, ok := r.(interface{ Local() Reader })
		if !ok {
			return r
		}
		r = f.Local()
	}
}
