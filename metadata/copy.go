package metadata

import (
	"context"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// CopyOptions says which rows to copy. The zero value is the newest live row of each id, under whichever feature version
// that was written.
type CopyOptions struct {
	// Filters leave out the rows for which any of these conditions does not hold; see package filter. Nil leaves out none.
	Filters []string
	// CurrentVersion copies rows of the feature's own version only.
	CurrentVersion bool
	// WithSampleHistory copies every live row of a sample; false only the newest.
	WithSampleHistory bool
}

// Copy appends rows of the same feature in another store, in one commit. They keep their feature and project versions, and
// get metaxy_updated_at and metaxy_materialization_id of this write. Without a table in the other store it returns an
// error wrapping store.ErrNoTable; fallback stores of that one are not asked.
func (t *Table) Copy(ctx context.Context, from store.Reader, o CopyOptions) (store.Commit, error) {
	snap, err := store.Local(from).Snapshot(ctx, t.Feature.Key())
	if err == nil {
		err = t.Hashing.Check(snap, t.Feature.Key())
	}
	if err != nil {
		return store.Commit{}, err
	}
	rows := engine.Read(ctx, snap, t.Feature, engine.ReadOptions{
		Filters: o.Filters, AllFeatureVersions: !o.CurrentVersion, AllSamples: o.WithSampleHistory})
	w := WriteOptions{PreserveFeatureVersion: true, Info: map[string]string{"from": snap.URI()}}
	return t.append(ctx, rows, w, "copy", nil)
}
