package delta

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// Who writes checkpoints tidies the log, as Delta's other writers do: commits and checkpoints that have expired are deleted,
// and of the checkpoints between, those that save little. All of it can be done without: what is not deleted now, for a
// failure or because it is much, is deleted the next time.

const (
	// tidyCheckpoints is how many checkpoints a log gets between two times that it is tidied, which takes a listing of it.
	tidyCheckpoints = 10
	// tidyMost is how many files are deleted at a time; so many more than are written meanwhile that it comes to an end.
	tidyMost = 1000
	// tidyAtOnce is how many are deleted at the same time.
	tidyAtOnce = 8
	// replacedFor is for how long a checkpoint stays after a newer one was written: readers may have begun with it.
	replacedFor = 24 * time.Hour
	// slowest is for how long a writer may be stopped between listing the log and deleting, and not undo what others leave.
	slowest = 24 * time.Hour
	// spareLeast and spareRatio say how far apart the checkpoints are that stay as long as the log does: so many commits,
	// and such a part of those before. An older version is read from the one before it and the commits since.
	spareLeast, spareRatio = 100, 8
)

// tidyDue reports whether the log is to be tidied after this version's checkpoint.
func (s *Snapshot) tidyDue() bool { return (s.Version+1)%(tidyCheckpoints*s.interval()) == 0 }

// tidyLog deletes what the log of a table need not have. The time is the storage's, if its clock is behind ours.
func (t *Table) tidyLog(ctx context.Context, s *Snapshot, now time.Time) error {
	if s.keepsLog() {
		return nil
	}
	files, err := t.list(ctx, 0)
	if err != nil || len(files) == 0 {
		return err
	}
	written := slices.MaxFunc(files, func(a, b logFile) int { return a.ModTime.Compare(b.ModTime) }).ModTime
	if written.Before(now) {
		now = written
	}
	kept := s.logKept(now)
	old, err := t.expired(ctx, files, kept)
	if err != nil {
		return err
	}
	gone := make(map[string]bool, len(old))
	for _, o := range old {
		gone[o.Name] = true
	}
	files = slices.DeleteFunc(files, func(f logFile) bool { return gone[f.Name] })
	old = append(old, spareCheckpoints(files, now.Add(-replacedFor), kept.Add(slowest))...)
	return t.deleteInOrder(ctx, old[:min(len(old), tidyMost)])
}

// spareCheckpoints returns the checkpoints that were replaced by newer ones before a time and that lie close behind others,
// from which and from the commits since then each version can be read as well. These others are younger than what expires
// soon: if not, another writer could delete them at the same time, and keep in their place what is spare here.
func spareCheckpoints(files []logFile, before, expires time.Time) []bucket.Object {
	commits := map[int64]bool{}
	for _, f := range files {
		if f.commit {
			commits[f.version] = true
		}
	}
	all := checkpoints(files)
	slices.Reverse(all)
	var spare []bucket.Object
	var kept logFile
	for i, parts := range all {
		c := parts[0]
		replaced := i+1 < len(all) && all[i+1][0].ModTime.Before(before)
		near := i > 0 && c.version-kept.version < max(spareLeast, c.version/spareRatio) && kept.ModTime.After(expires)
		if !replaced || !near || len(parts) > 1 || !hasAll(commits, kept.version+1, c.version) {
			kept = c
			continue
		}
		spare = append(spare, c.Object)
	}
	return spare
}

// hasAll reports whether there are all commits from one on, up to and with another one.
func hasAll(commits map[int64]bool, from, to int64) bool {
	for v := from; v <= to; v++ {
		if !commits[v] {
			return false
		}
	}
	return true
}

// deleteInOrder deletes files of the log a few at a time, so that a log which is cleaned up keeps its end.
func (t *Table) deleteInOrder(ctx context.Context, files []bucket.Object) error {
	for some := range slices.Chunk(files, tidyAtOnce) {
		g, ctx := errgroup.WithContext(ctx)
		for _, f := range some {
			g.Go(func() error { return t.Bucket.Delete(ctx, f.Name) })
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}
