package s3parquet

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Stray counts the data files in a table's folder, and their bytes, that neither its newest version names nor one that its
// log still knows to have been replaced. A writer that is killed leaves such files; nobody reads them. Files written at
// the given time or later are left out: their commit may be under way.
func (s *Store) Stray(ctx context.Context, key feature.Key, before time.Time) (files int, bytes int64, err error) {
	t, err := s.table(key)
	if err != nil {
		return 0, 0, err
	}
	v, err := t.Snapshot(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("feature %s: %w", key, err)
	}
	known, err := v.Known()
	if err != nil {
		return 0, 0, fmt.Errorf("feature %s: %w", key, err)
	}
	dir := t.Path + "/"
	for o, err := range s.bucket.List(ctx, dir, "") {
		if err != nil {
			return 0, 0, fmt.Errorf("list the files of feature %s: %w", key, err)
		}
		name := strings.TrimPrefix(o.Name, dir)
		if strings.HasPrefix(name, "_") || !strings.HasSuffix(name, ".parquet") || !o.ModTime.Before(before) || known[name] {
			continue
		}
		files++
		bytes += o.Size
	}
	return files, bytes, nil
}
