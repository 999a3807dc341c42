package s3parquet

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"path"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// Snapshot implements store.Reader. When the table has not changed since the last call, it costs one listing of the
// log's end.
func (s *Store) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	t, err := s.table(key)
	if err != nil {
		return nil, err
	}
	v, err := t.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("feature %s: %w", key, err)
	}
	return &snapshot{store: s, table: t, Snapshot: v}, nil
}

// SnapshotAt returns an older version of the feature's table, or an error wrapping fs.ErrNotExist when the log does
// not hold it.
func (s *Store) SnapshotAt(ctx context.Context, key feature.Key, version int64) (store.Snapshot, error) {
	t, err := s.table(key)
	if err != nil {
		return nil, err
	}
	v, err := t.SnapshotAt(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("feature %s: %w", key, err)
	}
	return &snapshot{store: s, table: t, Snapshot: v}, nil
}

// A snapshot is a version of a table together with the place where its files are.
type snapshot struct {
	*delta.Snapshot

	store *Store
	table *delta.Table

	countRows sync.Once
	rowsHint  int64 // valid after countRows
}

var _ store.Snapshot = (*snapshot)(nil)

// Version implements store.Snapshot.
func (s *snapshot) Version() int64 { return s.Snapshot.Version }

// Timestamp implements store.Snapshot.
func (s *snapshot) Timestamp() time.Time { return s.Time }

// Marks implements store.Snapshot: the versions of all transaction identifiers.
func (s *snapshot) Marks() map[string]int64 {
	marks := make(map[string]int64, len(s.Txns))
	for app, txn := range s.Txns {
		marks[app] = txn.Version
	}
	return marks
}

// LastRemoval implements store.Snapshot.
func (s *snapshot) LastRemoval() int64 { return s.Removal }

// State implements store.Snapshot. Files never change and no two have one name, so that their names tell what they hold.
func (s *snapshot) State() store.State { return s.stateOf(s.names()) }

func (s *snapshot) names() []string {
	names := make([]string, len(s.Files))
	for i, f := range s.Files {
		names[i] = f.Name
	}
	return names
}

// stateOf is the state of a version with the given files and the same schema.
func (s *snapshot) stateOf(files []string) store.State {
	h := fnv.New64a()
	part := func(text string) {
		_, _ = io.WriteString(h, text) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	part(s.MetaData.ID)
	part(s.MetaData.SchemaString)
	for _, column := range s.MetaData.PartitionColumns {
		part(column)
	}
	for _, name := range files {
		part(name)
	}
	return store.State{Files: len(files), Hash: h.Sum64() >> 1}
}

// Since implements store.Snapshot. A table that only grew tells it by its files; one whose files were merged, by its log.
// A state has the names of all files in it, so that one that is met again on the way back is the one that was meant.
func (s *snapshot) Since(ctx context.Context, older store.State, version int64) ([]int, bool) {
	names := s.names()
	if older.Files >= 0 && older.Files <= len(names) && s.stateOf(names[:older.Files]) == older {
		return store.FilesFrom(older.Files, len(names)), true
	}
	return s.table.Since(ctx, s.Snapshot, version, func(names []string) bool { return s.stateOf(names) == older })
}

// RowsHint implements store.Snapshot. It is the sum of what the log says of the files.
func (s *snapshot) RowsHint() int64 {
	s.countRows.Do(func() {
		for i := range s.Files {
			if rows := s.Files[i].ParseStats().NumRecords; rows != nil {
				s.rowsHint += max(*rows, 0)
			}
		}
	})
	return s.rowsHint
}

// BytesHint implements store.Snapshot. It is the size of the files, which are packed.
func (s *snapshot) BytesHint() int64 {
	n := int64(0)
	for i := range s.Files {
		n += s.Files[i].Size
	}
	return n
}

// URI implements store.Snapshot.
func (s *snapshot) URI() string { return s.table.URI() }

// Schema implements store.Snapshot.
func (s *snapshot) Schema() *arrow.Schema { return s.Snapshot.Schema }

// Properties implements store.Snapshot.
func (s *snapshot) Properties() map[string]string { return maps.Clone(s.MetaData.Configuration) }

// A dataFile is an open data file.
type dataFile struct {
	*columnar.File

	uri    string
	source source
	parts  fileParts
}

// open opens a data file of the table to read it with the given options. The caller closes its source.
func (s *snapshot) open(ctx context.Context, f *delta.File, o columnar.ReadOptions) (*dataFile, error) {
	name := path.Join(s.table.Path, f.Name)
	d := &dataFile{uri: s.store.bucket.URI(name), parts: fileParts{s.store, name}}
	o.Keeper, o.End = d.parts, endBytes(f)
	var err error
	if d.source, err = s.store.openSource(ctx, name, f.Size); err != nil {
		return nil, d.explain(s, err)
	}
	if d.File, err = o.OpenFile(d.source, f.Size); err != nil {
		return nil, errors.Join(d.explain(s, err), d.source.Close())
	}
	return d, nil
}

// explain says which file and table an error is about. The log names each file, so that one that is not there is damage.
func (d *dataFile) explain(s *snapshot, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: data file %s of table %s at version %d is missing: bring it back, or read a newer version",
			store.ErrCorrupt, d.uri, s.URI(), s.Version())
	}
	if errors.Is(err, store.ErrCorrupt) {
		d.parts.forget()
	}
	return fmt.Errorf("read %s: %w", d.uri, err)
}
