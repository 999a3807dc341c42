package delta

import (
	"context"
	"slices"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// NeededSince returns the names of the data files of all versions that were the newest one at a time, or later: those of
// this version, and those that were removed since. It returns more names where the log does not tell when.
func (t *Table) NeededSince(ctx context.Context, s *Snapshot, since time.Time) (map[string]bool, error) {
	needed := make(map[string]bool, len(s.Files))
	for _, f := range s.Files {
		needed[f.Name] = true
	}
	removed, err := s.Tombstones()
	if err != nil {
		return nil, err
	}
	for name, r := range removed {
		if !r.expired(since) {
			needed[name] = true
		}
	}
	if !since.Before(time.Now().Add(-s.retention())) {
		return needed, nil
	}
	// Checkpoints forget what was removed longer ago than the table's own retention. The commits know.
	files, err := t.list(ctx, 0)
	if err != nil {
		return nil, err
	}
	files = slices.DeleteFunc(files, func(f logFile) bool { return !f.commit || f.ModTime.Before(since) })
	for chunk := range slices.Chunk(files, 4*readers) {
		commits, err := t.readCommits(ctx, chunk)
		if err != nil {
			return nil, err
		}
		for _, actions := range commits {
			for _, a := range actions {
				if a.Remove == nil {
					continue
				}
				name, err := decodePath(a.Remove.Path)
				if err != nil {
					return nil, err
				}
				needed[name] = true
			}
		}
	}
	return needed, nil
}

// ExpiredLog returns the files of the log that were written before a time, and before the table's own retention of its log,
// and that no version is read from which the log keeps: those before the newest checkpoint that is as old. The oldest come
// first. A table that forbids to clean up its log has none.
func (t *Table) ExpiredLog(ctx context.Context, s *Snapshot, before, now time.Time) ([]bucket.Object, error) {
	if s.keepsLog() {
		return nil, nil
	}
	if kept := s.logKept(now); kept.Before(before) {
		before = kept
	}
	files, err := t.list(ctx, 0)
	if err != nil {
		return nil, err
	}
	return t.expired(ctx, files, before)
}

// expired returns those files of a log that were written before a time and that no version which is kept is read from, the
// oldest first.
func (t *Table) expired(ctx context.Context, files []logFile, before time.Time) ([]bucket.Object, error) {
	base := oldCheckpoint(files, before)
	if base == nil {
		return nil, nil
	}
	var old []bucket.Object
	for _, f := range files {
		if f.version < base[0].version && f.ModTime.Before(before) && !f.v2 {
			old = append(old, f.Object)
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	r := replayFrom(nil) // everything will depend on it
	if err := t.readCheckpoint(ctx, r, base); err != nil {
		return nil, err
	}
	_, err := r.snapshot.Tombstones()
	return old, err
}

// oldCheckpoint returns the parts of the newest checkpoint that was written before a time, nil if there is none.
func oldCheckpoint(files []logFile, before time.Time) []logFile {
	younger := func(f logFile) bool { return !f.ModTime.Before(before) }
	for _, parts := range checkpoints(files) {
		i := slices.IndexFunc(files, func(f logFile) bool { return f.commit && f.version == parts[0].version })
		if i >= 0 && !younger(files[i]) && !slices.ContainsFunc(parts, younger) {
			return parts
		}
	}
	return nil
}
