package metaxy

import (
	"context"
	"errors"
	"maps"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// whole reports whether the run is of all samples.
func (j *job) whole() bool { return j.o.Limit == 0 && j.o.Shard.Count <= 1 && j.part == nil }

// digestBefore is the digest of the table before the run, if it is known and the digest after it can be known from the rows
// that are committed: they all are of samples that the table does not have. Then the table need not be read once more for it.
func (j *job) digestBefore(inc *engine.Increment) *engine.Digest {
	if !j.whole() || inc.Count(engine.Stale) > 0 {
		return nil
	}
	d, ok := engine.KnownDigest(j.stored, j.f)
	if !ok {
		return nil
	}
	return &d
}

// digested is the digest of the table after a commit of rows onto a snapshot. It is only right if all that settledMarks looks
// at is: nobody else has written, and each sample has one row. Nil stands for one that is not known.
func (j *job) digested(before *engine.Digest, rows arrow.RecordBatch, onto store.Snapshot) *engine.Digest {
	if before == nil || j.claims.foreign() {
		return nil
	}
	var table *arrow.Schema
	if onto != nil {
		table = onto.Schema()
	}
	after, err := before.With(j.f, rows, table)
	if err != nil {
		return nil
	}
	return &after
}

// settledMarks are the marks that record with a commit onto a snapshot, nil for none, that nothing is left to do, if that is
// so once the given number of samples is committed with it; see [engine.Increment.SettledMarks]. Any doubt gives none: then
// the next run looks at every row, as it would without records.
func (j *job) settledMarks(inc *engine.Increment, committing int64, onto store.Snapshot) map[string]int64 {
	c := &j.count
	done := c.processed.Load()+committing == j.total &&
		c.failed.Load()+c.elsewhere.Load()+c.duplicates.Load()+c.interrupted.Load() == 0
	orphans := inc.Count(engine.Orphaned)
	clean := orphans == 0 || committing == 0 && j.o.DeleteOrphaned && c.deleted.Load() == orphans
	if !j.whole() || !done || !clean || j.claims.foreign() {
		return nil
	}
	marks := inc.SettledMarks(versionOf(onto) + 1)
	if marks != nil {
		maps.Copy(marks, engine.FailedMarks(onto, engine.Shard{}, 0))
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
	marks := j.settledMarks(j.inc, 0, snap)
	if marks == nil || !j.claims.upTo(version) {
		return
	}
	maps.Copy(marks, digest.Marks(j.f, version+1))
	_, err := j.store.Append(ctx, j.f.Key(), store.Write{Marks: marks, Expect: &version, Info: j.info()})
	if err != nil && !errors.Is(err, store.ErrConflict) {
		j.log.Warn("that nothing is left to do is not recorded", "feature", j.f.Key(), "error", err)
	}
}

// survey looks, for a run that only reports, whether others have left nothing to do, so that it can be recorded: shards know
// a part each and record nothing. It looks only where that is likely and pays, and that it cannot is no reason to fail.
func (j *job) survey(ctx context.Context) {
	if j.step.Samples != nil || j.part != nil {
		return
	}
	snap, err := snapshot(ctx, j.store, j.f.Key())
	if err != nil || snap == nil || engine.Failed(snap) > 0 {
		return // what is wrong with the table is said by who reports it
	}
	j.claims = newClaims(j.f, j.rel, j.o.Shard, snap.Version())
	inc, err := engine.ResolveToRecord(ctx, j.store, j.f, engine.Options{Hashing: j.hashing, MemoryLimit: j.o.MemoryLimit, Stored: &snap})
	if err != nil {
		j.log.Warn("whether anything is left to do is not known", "feature", j.f.Key(), "error", err)
		return
	}
	if inc != nil {
		j.inc, j.total = inc, inc.Count(engine.New)+inc.Count(engine.Stale)
	}
}
