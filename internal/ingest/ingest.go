// Package ingest feeds a root feature: it reads samples from a file or a listing, finds out which of them are new or
// have changed, and appends those.
//
// A sample's field versions are those that its row brings, else the columns that the user names, else a hash over the
// row, whose form docs/ingest.md states. Unchanged samples are not written again, so that running an ingest twice costs
// nothing the second time.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ErrInput reports samples that cannot be taken in: rows without an id, with an id twice, of another type. Nothing was
// written.
var ErrInput = errors.New("unusable input")

// ErrSetup reports flags that make no sense for the feature or the source.
var ErrSetup = errors.New("cannot ingest")

// attempts is how often an ingest starts over because another writer was faster.
const attempts = 10

// Options says what to take in. Feature, Store, Source and Now are required.
type Options struct {
	// Feature is the root feature.
	Feature *feature.Feature
	// Store keeps the feature's table.
	Store store.Store
	// Hashing makes the versions; the zero value is the whole output of xxh3_64.
	Hashing engine.Hashing
	// ProjectVersion is stored with every row; "" stores null.
	ProjectVersion string
	// MaterializationID is stored with every row; "" stores null.
	MaterializationID string
	// Source is where the samples come from.
	Source Source
	// Versions are, by field, the columns that hold the field's version; nil hashes the row.
	Versions map[feature.Key][]string
	// Prune soft-deletes the stored samples that the source does not have; false keeps them.
	Prune bool
	// Now is the clock.
	Now func() time.Time
}

// A Result counts what an ingest did.
type Result struct {
	// New, Stale and Unchanged count the source's samples; New and Stale ones were written.
	New, Stale, Unchanged int64
	// Removed counts the samples that were soft-deleted.
	Removed int64
}

// Run takes the samples of a source in. It commits once, or not at all; when another writer is faster, it compares anew.
func Run(ctx context.Context, o Options) (Result, error) {
	if !o.Feature.Root() {
		return Result{}, fmt.Errorf("%w: %s has parents, so its samples are computed and not ingested: use run",
			ErrSetup, o.Feature.Key())
	}
	if err := o.checkVersions(); err != nil {
		return Result{}, err
	}
	for i := 1; ; i++ {
		res, err := o.once(ctx)
		if i == attempts || !errors.Is(err, store.ErrConflict) {
			return res, err
		}
	}
}

// once compares the source with the newest version of the table and appends the difference to exactly that version.
func (o Options) once(ctx context.Context) (Result, error) {
	at, err := pin(ctx, o.Store, o.Feature.Key())
	if err != nil {
		return Result{}, err
	}
	if at.snap != nil {
		if err := o.Hashing.Check(at.snap, o.Feature.Key()); err != nil {
			return Result{}, err
		}
	}
	samples := &samples{options: o, table: at.schema()}
	inc, err := engine.Resolve(ctx, at, o.Feature, engine.Options{Hashing: o.Hashing, Samples: samples.all(ctx)})
	if err != nil {
		return Result{}, err
	}
	res := Result{New: inc.Count(engine.New), Stale: inc.Count(engine.Stale)}
	res.Unchanged = samples.rows - res.New - res.Stale
	if o.Prune {
		res.Removed = inc.Count(engine.Orphaned)
		if _, listing := o.Source.(*listingSource); listing && samples.rows == 0 && res.Removed > 0 {
			return Result{}, fmt.Errorf("%w: the listing is empty, and --prune would delete all %d samples: check --from; "+
				"to delete them on purpose, ingest an empty file of rows with --prune", ErrInput, res.Removed)
		}
	}
	if res.New+res.Stale+res.Removed == 0 {
		return res, nil
	}
	if err := o.write(ctx, inc, at); err != nil {
		return Result{}, err
	}
	return res, nil
}

// pinned is a reader that sees one version of one table, so that what is decided fits what is written.
type pinned struct {
	store.Reader
	key     feature.Key
	snap    store.Snapshot // nil: there is no table yet
	version int64          // -1 without a table
}

func pin(ctx context.Context, r store.Reader, key feature.Key) (pinned, error) {
	snap, err := store.Local(r).Snapshot(ctx, key)
	if errors.Is(err, store.ErrNoTable) {
		return pinned{r, key, nil, -1}, nil
	}
	if err != nil {
		return pinned{}, err
	}
	return pinned{r, key, snap, snap.Version()}, nil
}

// Snapshot implements store.Reader.
func (p pinned) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	switch {
	case key != p.key:
		return p.Reader.Snapshot(ctx, key)
	case p.snap == nil:
		return nil, fmt.Errorf("%w: %s", store.ErrNoTable, key)
	}
	return p.snap, nil
}

func (p pinned) schema() *arrow.Schema {
	if p.snap == nil {
		return nil
	}
	return p.snap.Schema()
}
