package metaxy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// claims are the samples that were committed since the increment was resolved. Runs that work on one feature at the
// same time find each other's samples there: what another run has committed is neither computed nor committed again.
type claims struct {
	f    *feature.Feature
	keys []string

	mu      sync.Mutex
	version int64 // of the table, up to which rows are known
	rows    map[string]claim
}

// A claim is the newest row of a sample.
type claim struct {
	provenance string
	deleted    bool
	at         int64 // when it was written, in microseconds
	ref        store.RowRef
}

// newClaims returns claims that begin after the given version of the table; -1 is before the first.
func newClaims(f *feature.Feature, keys []string, version int64) *claims {
	return &claims{f: f, keys: keys, version: version, rows: map[string]claim{}}
}

// taken reports whether another run has committed the sample as it is expected to be.
func (c *claims) taken(s sample) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	row, ok := c.rows[s.key]
	return ok && !row.deleted && row.provenance != "" && row.provenance == s.provenance()
}

// touched reports whether another run has written the sample at all.
func (c *claims) touched(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.rows[key]
	return ok
}

// own takes note of a commit of this run. It may only be called for the version after the last one known.
func (c *claims) own(version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = max(c.version, version)
}

// catchUp reads what was committed since the last time.
func (c *claims) catchUp(ctx context.Context, snap store.Snapshot) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if snap == nil || snap.Version() <= c.version {
		return nil
	}
	columns := append([]string{}, c.keys...)
	columns = append(columns, feature.ColProvenance, feature.ColUpdatedAt, feature.ColDeletedAt)
	after := c.version
	q := store.Query{
		Columns: columns, After: &after,
		Where: []store.Equal{{Column: feature.ColFeatureVersion, Value: c.f.Version()}},
	}
	for b, err := range snap.Scan(ctx, q) {
		if err == nil {
			err = c.add(b)
		}
		if err != nil {
			return fmt.Errorf("read what others have committed to %s: %w", c.f.Key(), err)
		}
	}
	c.version = snap.Version()
	return nil
}

func (c *claims) add(b store.Batch) error {
	keys, err := samplekey.New(b.RecordBatch, c.keys)
	if err != nil {
		return err
	}
	provenance, ok := column(b.RecordBatch, feature.ColProvenance).(array.StringLike)
	if !ok {
		return fmt.Errorf("column %q is not text", feature.ColProvenance)
	}
	updated, deleted := column(b.RecordBatch, feature.ColUpdatedAt), column(b.RecordBatch, feature.ColDeletedAt)
	for row := range int(b.NumRows()) {
		key, ok := keys.At(row)
		if !ok {
			continue
		}
		n := claim{ref: b.Ref(row)}
		if n.at, n.deleted = microsAt(deleted, row); !n.deleted {
			n.at, _ = microsAt(updated, row)
		}
		if !provenance.IsNull(row) {
			n.provenance = provenance.Value(row)
		}
		if old, ok := c.rows[key]; !ok || n.at > old.at || n.at == old.at && n.ref >= old.ref {
			c.rows[key] = n
		}
	}
	return nil
}

func microsAt(col arrow.Array, row int) (int64, bool) {
	t, ok := col.(*array.Timestamp)
	if !ok || t.IsNull(row) {
		return 0, false
	}
	return t.Value(row).ToTime(t.DataType().(*arrow.TimestampType).Unit).UnixMicro(), true
}

// snapshot returns nil if the feature has no table yet in the store that is written to.
func snapshot(ctx context.Context, s store.Reader, key feature.Key) (store.Snapshot, error) {
	snap, err := store.Local(s).Snapshot(ctx, key)
	if errors.Is(err, store.ErrNoTable) {
		return nil, nil
	}
	return snap, err
}

// versionOf is -1 without a table, as store.Write.Expect has it.
func versionOf(snap store.Snapshot) int64 {
	if snap == nil {
		return -1
	}
	return snap.Version()
}
