package metaxy

import (
	"context"
	"errors"
	"maps"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// settledMarks are the marks that record with a commit that nothing is left to do, if that is so once the given number of
// samples is committed with it; see [engine.Increment.SettledMarks]. Any doubt gives none: then the next run looks at
// every row, as it would without records.
func (j *job) settledMarks(inc *engine.Increment, committing, version int64) map[string]int64 {
	c := &j.count
	whole := j.o.Limit == 0 && j.o.Shard.Count <= 1 && j.part == nil
	done := c.processed.Load()+committing == j.total &&
		c.failed.Load()+c.elsewhere.Load()+c.duplicates.Load()+c.interrupted.Load() == 0
	orphans := inc.Count(engine.Orphaned)
	clean := orphans == 0 || committing == 0 && j.o.DeleteOrphaned && c.deleted.Load() == orphans
	if !whole || !done || !clean || j.claims.foreign() {
		return nil
	}
	marks := inc.SettledMarks(version)
	if marks != nil {
		marks[engine.FailedMark] = 0
	}
	return marks
}

// record records, where that is worth a commit of its own, that nothing is left to do, if no commit of rows could say so,
// and the digest of the table as it is. That it cannot is no reason to fail.
func (j *job) record(ctx context.Context, snap store.Snapshot, digest engine.Digest) {
	version := snap.Version()
	unsaid := j.inc != nil && j.inc.PaysToSettle() && j.recorded != version
	if j.inc == nil || !unsaid && !digest.PaysToRecord() {
		return
	}
	marks := j.settledMarks(j.inc, 0, version+1)
	if marks == nil || !j.claims.upTo(version) {
		return
	}
	maps.Copy(marks, digest.Marks(j.f, version+1))
	_, err := j.store.Append(ctx, j.f.Key(), store.Write{Marks: marks, Expect: &version, Info: j.info()})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		j.log.Warn("that nothing is left to do is not recorded", "feature", j.f.Key(), "error", err)
	}
}
