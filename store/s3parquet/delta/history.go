package delta

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// An Entry is a commit in the history of a table.
type Entry struct {
	Version int64
	Time    time.Time   // when it was made
	Info    *CommitInfo // nil when the writer noted nothing
	Added   int         // data files
	Removed int         // data files
	Rows    int64       // in the added files, as far as their statistics say
	Bytes   int64       // of the added files
	Files   []FileChange
}

// A FileChange is a data file that a commit added or removed.
type FileChange struct {
	Name       string // relative to the table's folder, decoded
	Removed    bool   // false means added
	DataChange bool   // false means that its rows only moved to or from another file
	Rows       *int64 // nil means that the log does not say at this place
	Bytes      *int64 // nil means that the log does not say at this place
}

// History yields the commits that the log still holds, the newest first. Without any log, that is an error wrapping
// store.ErrNoTable.
func (t *Table) History(ctx context.Context) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		files, err := t.list(ctx, 0)
		if err == nil && len(files) == 0 {
			err = store.ErrNoTable
		}
		if err != nil {
			yield(Entry{}, fmt.Errorf("read log of %s: %w", t.URI(), err))
			return
		}
		files = slices.DeleteFunc(files, func(f logFile) bool { return !f.commit })
		slices.Reverse(files)
		for chunk := range chunksOf(files, readers) {
			actions, err := t.readCommits(ctx, chunk)
			if err != nil {
				yield(Entry{}, fmt.Errorf("read log of %s: %w", t.URI(), err))
				return
			}
			for i, f := range chunk {
				if !yield(entry(f, actions[i]), nil) {
					return
				}
			}
		}
	}
}

func entry(f logFile, actions []action) Entry {
	e := Entry{Version: f.version, Time: f.ModTime}
	for _, a := range actions {
		switch {
		case a.CommitInfo != nil:
			e.Info = a.CommitInfo
			if ms := a.CommitInfo.made(); ms > 0 {
				e.Time = time.UnixMilli(ms)
			}
		case a.Add != nil:
			e.Added++
			e.Bytes += a.Add.Size
			n := a.Add.ParseStats().NumRecords
			if n != nil {
				e.Rows += *n
			}
			e.Files = append(e.Files, FileChange{nameOf(a.Add.Path), false, a.Add.DataChange, n, &a.Add.Size})
		case a.Remove != nil:
			e.Removed++
			n := (&Add{Stats: a.Remove.Stats}).ParseStats().NumRecords
			e.Files = append(e.Files, FileChange{nameOf(a.Remove.Path), true, a.Remove.DataChange, n, a.Remove.Size})
		}
	}
	return e
}

// nameOf is the name of a data file, or what the log has in its place.
func nameOf(path string) string {
	if name, err := decodePath(path); err == nil {
		return name
	}
	return path
}

// made is when a commit was made, in milliseconds since the epoch, or 0 when it does not say.
func (c *CommitInfo) made() int64 {
	if c.InCommitTimestamp > 0 {
		return c.InCommitTimestamp
	}
	return max(c.Timestamp, 0)
}
