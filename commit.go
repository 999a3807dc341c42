package metaxy

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/cenkalti/backoff/v5"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// commitAttempts is how often a commit is tried against other writers.
const commitAttempts = 100

// A marker makes the marks of a commit.
type marker func(samples int, rows arrow.RecordBatch, onto store.Snapshot) map[string]int64

// commit appends the rows of the samples that no other run has committed meanwhile, and returns these samples. Rows made
// for one version of the table are never appended to a later one without a look at what came between. What marks returns
// for the number of samples, their rows, and the snapshot that these are added to is committed with them.
func (j *job) commit(ctx context.Context, done []finished, marks marker) ([]finished, error) {
	var open, kept []finished
	var refused []failedSample
	var deleted int64
	var settled map[string]int64
	version, err := j.onto(ctx, func(snap store.Snapshot) (addition, error) {
		open = j.claims.open(done)
		var rec arrow.RecordBatch
		rec, kept, refused = j.rows.united(open, j.rows.table.Load())
		vanished, err := j.vanished(ctx, snap, kept, rec)
		if err != nil {
			return addition{}, err
		}
		deleted = rowsOf(vanished)
		rec, by, err := j.sealed(rec, vanished)
		if err != nil || rec == nil {
			return addition{}, err
		}
		settled = marks(len(kept), rec, snap)
		return addition{rows: single(rec), sortedBy: by, marks: settled}, nil
	})
	if err != nil {
		return done, err
	}
	if settled != nil {
		j.recorded = version
	}
	for _, f := range refused {
		j.fail(f)
	}
	j.count.computed.Add(int64(len(kept) - len(done))) // the others are counted as what they are
	j.count.elsewhere.Add(int64(len(done) - len(open)))
	j.count.deleted.Add(deleted)
	if !j.claims.none() {
		for _, f := range done {
			j.claims.forget(f.key)
		}
	}
	return kept, nil
}

// An addition is what one commit adds to the table.
type addition struct {
	rows     iter.Seq2[arrow.RecordBatch, error] // nil for nothing
	sortedBy []string
	marks    map[string]int64
}

// onto appends what make returns for the newest version of the table, again and again until no other writer comes
// between. It returns the version that this makes, or -1 if there was nothing to append.
func (j *job) onto(ctx context.Context, make func(store.Snapshot) (addition, error)) (int64, error) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, 2*time.Second
	for try := 1; ; try++ {
		snap, err := snapshot(ctx, j.store, j.f.Key())
		if err != nil {
			return -1, err
		}
		if err := j.claims.catchUp(ctx, snap); err != nil {
			return -1, err
		}
		if snap != nil {
			j.rows.table.Store(snap.Schema())
		}
		add, err := make(snap)
		if err != nil || add.rows == nil {
			return -1, err
		}
		version := versionOf(snap)
		c, err := j.store.Append(ctx, j.f.Key(), store.Write{
			Rows: add.rows, SortedBy: add.sortedBy, Marks: add.marks, Expect: &version, Properties: j.hashing.Properties(),
			Info: j.info(),
		})
		if err == nil {
			j.claims.own(c.Version)
			return c.Version, nil
		}
		if !errors.Is(err, store.ErrConflict) || try == commitAttempts {
			return -1, err
		}
		time.Sleep(pause.NextBackOff())
	}
}

// sealed returns computed rows as they are stored, with the stored rows that vanish as deleted ones, and the columns that
// all of them are sorted by. Either may be nil.
func (j *job) sealed(rec, vanished arrow.RecordBatch) (arrow.RecordBatch, []string, error) {
	ids := j.f.Spec().IDColumns
	var by []string
	var err error
	if rec != nil {
		rec, by, err = store.SortRows(rec, ids) // before there are more columns to move
		if err == nil {
			rec, err = engine.Seal(j.f, rec, j.stamp())
		}
	}
	if err != nil || vanished == nil {
		return rec, by, err
	}
	parts := make([]arrow.RecordBatch, 1, 2)
	if parts[0], err = engine.Tombstones(j.f, vanished, j.stamp()); err != nil {
		return nil, nil, err
	}
	if rec != nil {
		parts = slices.Insert(parts, 0, rec)
	}
	all, err := unite(parts)
	if err != nil {
		return nil, nil, err
	}
	return store.SortRows(all, ids)
}

// rowsOf is 0 for nil.
func rowsOf(rec arrow.RecordBatch) int64 {
	if rec == nil {
		return 0
	}
	return rec.NumRows()
}

// stamp is what the rows of one commit have in common. Its time is never before that of the resolve, even if the clock
// is set back meanwhile.
func (j *job) stamp() engine.Stamp {
	return engine.Stamp{
		MaterializationID: j.materialization, Now: j.begin.Add(time.Since(j.begin)).UTC().Truncate(time.Microsecond),
		Hashing: j.hashing, ProjectVersion: j.projectVersion, Replaced: j.claims.replaced,
	}
}

// info is recorded with each commit.
func (j *job) info() map[string]string {
	info := map[string]string{"operation": "run", "feature": string(j.f.Key()), "materialization_id": j.materialization}
	if j.o.Shard.Count > 1 {
		info["shard"] = j.o.Shard.String()
	}
	return info
}

// single yields a single batch.
func single(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
}

// projectVersion is the version of the project that is being run, or of the feature's own if the graph has several.
func projectVersion(g *feature.Graph, f *feature.Feature) string {
	project, err := g.Project()
	if err != nil {
		project = f.Project()
	}
	return g.ProjectVersion(project)
}
