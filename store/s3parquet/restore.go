package s3parquet

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// Restore gives a feature's table the rows back that it had at an older version, in a new commit: what came since is in no
// newer version then, and still in the older ones. Columns stay. A version whose log or data files are gone gives an error
// wrapping fs.ErrNotExist or store.ErrCorrupt, and changes nothing; so does another writer that commits meanwhile, with one
// wrapping store.ErrConflict. Without a difference nothing is committed, and the
// current version is returned.
func (s *Store) Restore(ctx context.Context, key feature.Key, version int64) (store.Commit, error) {
	t, err := s.table(key)
	if err != nil {
		return store.Commit{}, err
	}
	c, err := s.restore(ctx, t, version)
	if err != nil {
		return store.Commit{}, fmt.Errorf("feature %s: %w", key, err)
	}
	return c, nil
}

func (s *Store) restore(ctx context.Context, t *delta.Table, version int64) (store.Commit, error) {
	old, err := t.SnapshotAt(ctx, version)
	if err != nil {
		return store.Commit{}, err
	}
	base, err := t.Snapshot(ctx)
	if err != nil {
		return store.Commit{}, err
	}
	var done store.Commit
	now := base.Version
	done.Version, err = t.Update(ctx, base, func(ctx context.Context, base *delta.Snapshot) (*delta.Change, error) {
		c := base.ChangeTo(old)
		if c == nil {
			done = store.Commit{}
			return nil, nil
		}
		c.Expect = &now // what others commit meanwhile is not taken back unseen
		c.Parameters = map[string]string{"version": strconv.FormatInt(version, 10)}
		done = store.Commit{Rows: c.Rows, Files: len(c.Files)}
		for _, f := range c.Files {
			done.Bytes += f.Size
		}
		return c, s.present(ctx, t, c.Files)
	})
	return done, err
}

// present returns an error that names a data file which is gone.
func (s *Store) present(ctx context.Context, t *delta.Table, files []delta.Add) error {
	if len(files) == 0 {
		return nil
	}
	there := map[string]bool{}
	dir := t.Path + "/"
	for o, err := range s.bucket.List(ctx, dir, "") {
		if err != nil {
			return fmt.Errorf("list the files of %s: %w", t.URI(), err)
		}
		there[strings.TrimPrefix(o.Name, dir)] = true
	}
	for _, f := range files {
		if !there[f.Path] {
			return fmt.Errorf("%w: data file %s, which that version needs, is gone: it was removed by a vacuum, or by hand",
				store.ErrCorrupt, s.bucket.URI(dir+f.Path))
		}
	}
	return nil
}
