package metaxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// claims are the samples that were committed since the increment was resolved. Runs that work on one feature at the
// same time find each other's samples there: what another run has committed is neither computed nor committed again.
type claims struct {
	f        *feature.Feature
	rel      relation
	shard    Shard            // of this run; other samples do not matter
	division *store.Division  // of the samples among shards; owned like replaced
	replaced *engine.Replaced // what is known of rows from the future; owned by whoever commits, nil before the resolve

	mu      sync.Mutex
	version int64 // of the table, up to which rows are known
	rows    map[string]claim
	others  bool // have committed something, or may have
}

// A claim is the newest row of a sample.
type claim struct {
	provenance string
	deleted    bool
	at         int64 // when it was written, in microseconds
	ref        store.RowRef
}

// newClaims returns claims that begin after the given version of the table; -1 is before the first.
func newClaims(f *feature.Feature, rel relation, shard Shard, version int64) *claims {
	return &claims{f: f, rel: rel, shard: shard, version: version, rows: map[string]claim{}}
}

// taken reports whether another run has committed the sample as it is expected to be.
func (c *claims) taken(s sample) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rows) == 0 {
		return false
	}
	row, ok := c.rows[s.key]
	return ok && !row.deleted && row.provenance != "" && row.provenance == s.provenance()
}

// none reports whether other runs have committed nothing that is known.
func (c *claims) none() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.rows) == 0
}

// open returns the samples that no other run has committed as they are expected to be.
func (c *claims) open(done []finished) []finished {
	if c.none() {
		return done
	}
	return slices.DeleteFunc(slices.Clone(done), func(f finished) bool { return c.taken(f.sample) })
}

// touched reports whether another run has written the sample of a stored row. A store may show rows as new that it had
// before, so that what is known may be this very row.
func (c *claims) touched(key string, rows arrow.RecordBatch, row int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, ok := c.rows[key]
	at, _ := microsAt(column(rows, feature.ColUpdatedAt), row)
	return ok && (n.at != at || n.provenance != textAt(column(rows, feature.ColProvenance), row))
}

// forget drops what is known of samples with which this run is through, so that what is kept does not grow with what
// other runs do. Of expanded samples it is still needed, to leave alone what others have made of them.
func (c *claims) forget(done ...string) {
	if c.rel.expands {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range done {
		delete(c.rows, key)
	}
}

// own takes note of a commit of this run. It may only be called for the version after the last one known.
func (c *claims) own(version int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = max(c.version, version)
}

// foreign reports whether others have committed to the table.
func (c *claims) foreign() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.others
}

// upTo reports whether everything up to a version of the table is known.
func (c *claims) upTo(version int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version == version
}

// catchUp reads what was committed since the last time.
func (c *claims) catchUp(ctx context.Context, snap store.Snapshot) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if snap == nil || snap.Version() <= c.version {
		return nil
	}
	columns := slices.Clone(c.rel.keys)
	if c.replaced != nil {
		columns = append(columns, c.replaced.Columns()...)
	}
	slices.Sort(columns)
	columns = slices.Compact(columns)
	for _, name := range []string{feature.ColProvenance, feature.ColUpdatedAt, feature.ColDeletedAt} {
		if snap.Schema().HasField(name) {
			columns = append(columns, name)
		}
	}
	c.others = true
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
	if c.replaced != nil {
		if err := c.replaced.Note(b.RecordBatch); err != nil {
			return err
		}
	}
	keys, err := samplekey.New(b.RecordBatch, c.rel.keys)
	if err != nil {
		return err
	}
	members, err := c.shard.members(b.RecordBatch, c.division)
	if err != nil {
		return err
	}
	provenance := column(b.RecordBatch, feature.ColProvenance)
	updated, deleted := column(b.RecordBatch, feature.ColUpdatedAt), column(b.RecordBatch, feature.ColDeletedAt)
	for row := range int(b.NumRows()) {
		key, ok := keys.At(row)
		if !ok || !members.Has(key, row) {
			continue
		}
		n := claim{ref: b.Ref(row), provenance: strings.Clone(textAt(provenance, row))} // without the batch around it
		if n.at, n.deleted = microsAt(deleted, row); !n.deleted {
			n.at, _ = microsAt(updated, row)
		}
		if old, ok := c.rows[key]; !ok || c.isNewer(n, old) {
			c.rows[key] = n
		}
	}
	return nil
}

// isNewer reports whether a row tells more about a sample than an older one. That one row of an expanded sample was
// deleted says nothing about the others.
func (c *claims) isNewer(n, old claim) bool {
	if c.rel.expands && n.deleted != old.deleted {
		return old.deleted
	}
	return n.at > old.at || n.at == old.at && n.ref >= old.ref
}

func microsAt(col arrow.Array, row int) (int64, bool) {
	t, ok := col.(*array.Timestamp)
	if !ok || t.IsNull(row) {
		return 0, false
	}
	return t.Value(row).ToTime(t.DataType().(*arrow.TimestampType).Unit).UnixMicro(), true
}

// textAt is "" for null, and if there is no such column.
func textAt(col arrow.Array, row int) string {
	t, ok := col.(array.StringLike)
	if !ok || t.IsNull(row) {
		return ""
	}
	return t.Value(row)
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
