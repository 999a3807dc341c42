package s3parquet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// Append implements store.Appender: it writes the rows as data files, then commits them.
func (s *Store) Append(ctx context.Context, key feature.Key, w store.Write) (store.Commit, error) {
	t, err := s.table(key)
	if err != nil {
		return store.Commit{}, err
	}
	c, err := s.append(ctx, t, w)
	if err != nil {
		return store.Commit{}, fmt.Errorf("feature %s: %w", key, err)
	}
	return c, nil
}

func (s *Store) append(ctx context.Context, t *delta.Table, w store.Write) (store.Commit, error) {
	base, err := t.Snapshot(ctx)
	if err != nil && !errors.Is(err, store.ErrNoTable) {
		return store.Commit{}, err
	}
	current := int64(-1)
	if base != nil {
		current = base.Version
		if err := base.Writable(); err != nil {
			return store.Commit{}, fmt.Errorf("append to %s: %w", t.URI(), err)
		}
	}
	if w.Expect != nil && *w.Expect != current {
		return store.Commit{}, fmt.Errorf("append to %s: %w: it is at version %d, and the rows were made for version %d",
			t.URI(), store.ErrConflict, current, *w.Expect)
	}
	files := &fileWriter{store: s, table: t, base: base, sortedBy: w.SortedBy}
	err = files.writeAll(ctx, w.Rows)
	if err != nil {
		err = fmt.Errorf("append to %s: %w", t.URI(), err)
	}
	if err == nil && files.rows == 0 && (len(w.Marks) == 0 || base == nil) {
		return store.Commit{Version: current}, nil
	}
	var version int64
	if err == nil {
		version, err = t.Append(ctx, base, delta.Change{Schema: files.schema, Files: files.done, Rows: files.rows,
			Expect: w.Expect, Properties: w.Properties, Info: w.Info,
			Marks: w.Marks})
	}
	if err != nil {
		if undone(err) {
			files.discard(ctx)
		}
		return store.Commit{}, err
	}
	return store.Commit{Version: version, Rows: files.rows, Files: len(files.done), Bytes: files.bytes}, nil
}

// undone reports whether a commit that failed is not made and never will be, so that its data files can go. Credentials
// that are refused say nothing about an attempt before, whose answer the client never got: it may still arrive.
func undone(err error) bool {
	return !errors.Is(err, delta.ErrUnknown) && !errors.Is(err, fs.ErrPermission)
}

// discard removes data files that no commit names. What stays because that fails too is never read.
func (w *fileWriter) discard(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, name := range w.names {
		_ = w.store.bucket.Delete(ctx, path.Join(w.table.Path, name))
	}
}

// checkNulls refuses nulls in columns that the table does not allow to be null.
func checkNulls(rec arrow.RecordBatch, required []string) error {
	for _, name := range required {
		i := rec.Schema().FieldIndices(name)[0]
		if n := rec.Column(i).NullN(); n > 0 {
			return fmt.Errorf("%w: column %q may not be null, and %d rows have no value", store.ErrSchema, name, n)
		}
	}
	return nil
}
