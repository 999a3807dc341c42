package engine

import (
	"context"
	"errors"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Digest sums up the current samples of a feature.
type Digest struct {
	// Version changes exactly when the set of samples and their data versions changes; "empty" without any sample.
	Version string
	// Rows is the number of current samples.
	Rows int64
	// LastUpdated is when the newest of them was written; zero without any.
	LastUpdated time.Time
}

// DataVersion digests the current samples of the feature's table.
func DataVersion(ctx context.Context, snap store.Snapshot, f *feature.Feature) (Digest, error) {
	return Digest{}, errors.ErrUnsupported
}
