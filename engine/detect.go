package engine

import (
	"context"
	"errors"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// DetectHashing finds out how the rows of a table that records no hashing are versioned, by recomputing the provenance of
// some of them. It reports false when the rows do not tell: there are none, they disagree, or several algorithms fit.
func DetectHashing(ctx context.Context, snap store.Snapshot, f *feature.Feature) (Hashing, bool, error) {
	return Hashing{}, false, errors.ErrUnsupported
}
