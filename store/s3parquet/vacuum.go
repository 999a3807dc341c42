package s3parquet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// deletesAtOnce is how many objects are deleted at the same time.
const deletesAtOnce = 8

// Vacuuming says what Vacuum may delete.
type Vacuuming struct {
	// Retain is for how long after its end a version of the table stays readable, and how old a file has to be that no
	// version names: a writer that has not committed it yet takes no longer.
	Retain time.Duration
	// DryRun finds out what would be deleted and deletes nothing.
	DryRun bool
	// Now is the time; zero means the clock's.
	Now time.Time
}

// Vacuumed says what Vacuum has deleted, or would delete.
type Vacuumed struct {
	Files, LogFiles int
	Bytes           int64    // of the data files
	Names           []string // of the data files, below the table
	Unfinished      int      // objects that a killed writer had begun
}

// Vacuum deletes the data files that no version needs which was the newest one at some time since Now - Retain: those that
// were replaced before, and those that no version names because their writer was killed. Then it deletes commits and
// checkpoints that are older than both Retain and the table's own delta.logRetentionDuration and that no later version is
// read from. Older versions cannot be read afterwards. Last it deletes what killed writers have begun before Now - Retain
// and not completed, which is in no listing: temporary files, and on S3, if the credentials allow it, uploads in parts.
//
// A crash leaves some of it to the next time. Readers of newer versions and writers notice nothing.
func (s *Store) Vacuum(ctx context.Context, key feature.Key, v Vacuuming) (Vacuumed, error) {
	t, err := s.table(key)
	if err != nil {
		return Vacuumed{}, err
	}
	if v.Now.IsZero() {
		v.Now = time.Now()
	}
	w := &sweeper{store: s, table: t, Vacuuming: v}
	if err := w.run(ctx); err != nil {
		return w.done, fmt.Errorf("feature %s: vacuum %s: %w", key, t.URI(), err)
	}
	return w.done, nil
}

// A sweeper deletes what a table does not need.
type sweeper struct {
	Vacuuming
	store *Store
	table *delta.Table
	done  Vacuumed
}

func (w *sweeper) run(ctx context.Context) error {
	// The listing comes first: what is in it and not in the log that is read afterwards was not committed in between.
	files, err := w.candidates(ctx)
	if err != nil {
		return err
	}
	base, err := w.table.Newest(ctx)
	if err != nil {
		return err
	}
	if err := base.Writable(); err != nil {
		return err
	}
	needed, err := w.table.NeededSince(ctx, base, w.before())
	if err != nil {
		return err
	}
	var old []bucket.Object
	for _, o := range files {
		if name := w.name(o); !needed[name] {
			old = append(old, o)
			w.done.Files++
			w.done.Bytes += o.Size
			w.done.Names = append(w.done.Names, name)
		}
	}
	log, err := w.table.ExpiredLog(ctx, base, w.before(), w.Now)
	if err != nil {
		return err
	}
	begun, err := w.unfinished(ctx)
	if err != nil {
		return err
	}
	w.done.LogFiles, w.done.Unfinished = len(log), len(begun)
	if w.DryRun {
		return nil
	}
	if err := w.delete(ctx, old, deletesAtOnce); err != nil {
		return err
	}
	if err := w.delete(ctx, log, 1); err != nil { // the oldest first, so that what is left has no gap
		return err
	}
	for _, u := range begun {
		if err := w.finisher().DeleteUnfinished(ctx, u); err != nil {
			return err
		}
	}
	return nil
}

func (w *sweeper) finisher() bucket.Finisher {
	f, _ := w.store.bucket.(bucket.Finisher)
	return f
}

// unfinished lists what was begun in the table's folder longer ago than is retained. A bucket that offers no such list, or
// not to us, has nothing.
func (w *sweeper) unfinished(ctx context.Context) ([]bucket.Unfinished, error) {
	if w.finisher() == nil {
		return nil, nil
	}
	var begun []bucket.Unfinished
	for u, err := range w.finisher().ListUnfinished(ctx, w.table.Path+"/") {
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if u.ModTime.Before(w.before()) {
			begun = append(begun, u)
		}
	}
	return begun, nil
}

// before is the time before which things end to be needed.
func (w *sweeper) before() time.Time { return w.Now.Add(-w.Retain) }

func (w *sweeper) name(o bucket.Object) string { return strings.TrimPrefix(o.Name, w.table.Path+"/") }

// candidates lists the data files in the table's folder that are old enough.
func (w *sweeper) candidates(ctx context.Context) ([]bucket.Object, error) {
	var files []bucket.Object
	for o, err := range w.store.bucket.List(ctx, w.table.Path+"/", "") {
		if err != nil {
			return nil, err
		}
		if dataFileName(w.name(o)) && o.ModTime.Before(w.before()) {
			files = append(files, o)
		}
	}
	return files, nil
}

// dataFileName reports whether a name below a table can be that of a data file. Names that begin with "_" or "." belong to
// others, but for the folders of partitions; and tables may lie in the folders of tables.
func dataFileName(name string) bool {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		folder := i < len(parts)-1
		if strings.HasPrefix(part, ".") || strings.HasPrefix(part, "_") && !(folder && strings.Contains(part, "=")) ||
			folder && strings.HasSuffix(part, suffix) {
			return false
		}
	}
	return path.Ext(name) == ".parquet"
}

func (w *sweeper) delete(ctx context.Context, objects []bucket.Object, atOnce int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, o := range objects {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return w.store.bucket.Delete(ctx, o.Name)
		})
	}
	return g.Wait()
}
