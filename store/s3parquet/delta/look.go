package delta

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A folder is listed in time by the number of its files, and the log of ten thousand commits has more than ten thousand.
// Where asking for a name costs microseconds, the commits after one that is known are looked for by their names instead.
//
// That must not miss a commit which a listing shows. Commits have consecutive numbers, so that the first which is not there
// is the end of the log, unless it was taken out of it. Those who clean up a log take out what is before a checkpoint, and
// have named that checkpoint in _last_checkpoint before: when it names none beyond the end that was found, nothing was
// cleaned up there. Where commits were lost in another way, there are later ones: some are looked for too, close ones and some
// far away, which finds any number of lost commits that is followed by as many.

const (
	// lookBeyond is how many commits in a row have to be missing for the one before them to be the newest.
	lookBeyond = 32
	// lookFar is the distance up to which a commit is looked for at twice the distance of the one before.
	lookFar = 1 << 20
	// lookMost is how many commits are looked for. Among more, there is a newer checkpoint than the one that is known.
	lookMost = 1024
)

// look returns the files of the log from a version on, which has a commit and, if it is wanted, a checkpoint; of later versions
// the commits alone. It is false if only a listing can tell what there is.
func (t *Table) look(ctx context.Context, version int64, checkpoint bool) ([]logFile, bool) {
	b, ok := t.Bucket.(bucket.RandomAccess)
	if !ok {
		return nil, false
	}
	var files []logFile
	var names []string
	if checkpoint {
		names = append(names, t.logPath(checkpointName(version)))
	}
	newest := version
	for next := version; next <= newest+lookBeyond; {
		if newest-version > lookMost {
			return nil, false
		}
		for ; next <= newest+lookBeyond; next++ {
			names = append(names, t.logPath(commitName(next)))
		}
		found, err := b.Look(ctx, names)
		if err != nil {
			return nil, false
		}
		for _, o := range found {
			f, _ := parseLogName(path.Base(o.Name), o)
			files, newest = append(files, f), max(newest, f.version)
		}
		names = names[:0]
	}
	want := int(newest - version + 1)
	if checkpoint {
		want++
	}
	return files, len(files) == want && t.nothingFar(ctx, b, newest) && t.nothingExpired(ctx, newest)
}

// nothingFar reports whether no commit is found far after a version.
func (t *Table) nothingFar(ctx context.Context, b bucket.RandomAccess, version int64) bool {
	var names []string
	for distance := int64(2 * lookBeyond); distance <= lookFar; distance *= 2 {
		names = append(names, t.logPath(commitName(version+distance)))
	}
	found, err := b.Look(ctx, names)
	return err == nil && len(found) == 0
}

// nothingExpired reports whether no commit after a version can have been cleaned up.
func (t *Table) nothingExpired(ctx context.Context, version int64) bool {
	hint, err := t.readHint(ctx)
	return errors.Is(err, fs.ErrNotExist) || err == nil && hint <= version
}
