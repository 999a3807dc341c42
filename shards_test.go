package metaxy

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// A shardedStore is a store in a folder with videos in files that are sorted by id.
type shardedStore struct {
	*tables
	leaf    feature.Key
	folder  string
	divided bool // the last resolve's samples, by intervals
}

// put writes the videos with the given numbers, in that order.
func (s *shardedStore) put(version string, sortedBy []string, numbers func(yield func(int) bool)) {
	s.t.Helper()
	var rows []rootVideo
	for n := range numbers {
		hard := fmt.Sprintf("%s-%016x", version, uint64(n+1)*0x9e3779b97f4a7c15) // to compress, as a hash is
		rows = append(rows, newRootVideo(n, "/videos/"+version, hard))
	}
	f := s.lookup("video")
	rec, err := toRecord(rows)
	if err == nil {
		rec, err = engine.Seal(f, rec, engine.Stamp{Now: nextTime()})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.open().Append(s.t.Context(), f.Key(), store.Write{Rows: single(rec), SortedBy: sortedBy}); err != nil {
		s.t.Fatal(err)
	}
}

// open returns the store as a new process has it.
func (s *shardedStore) open() *s3parquet.Store {
	s.t.Helper()
	st, err := s3parquet.Open(s.t.Context(), s.folder, s3parquet.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// samples resolves the crops of one shard, by status and id, and returns how many bytes it took to decide.
func (s *shardedStore) samples(index, count int) (map[string]int, int64) {
	s.t.Helper()
	st, found := s.open(), map[string]int{}
	inc, err := engine.Resolve(s.t.Context(), st, s.lookup(s.leaf), engine.Options{Shard: engine.Shard{Index: index, Count: count}})
	if err != nil {
		s.t.Fatal(err)
	}
	read := st.Usage().BytesRead
	s.divided = inc.Division() != nil
	for _, status := range []engine.Status{engine.New, engine.Stale, engine.Orphaned} {
		for rec, err := range inc.Batches(s.t.Context(), status, engine.SampleColumns(inc.Feature()), 0) {
			if err != nil {
				s.t.Fatal(err)
			}
			s.count(found, status, rec, inc.Division(), index, count)
		}
	}
	return found, read
}

func (s *shardedStore) count(found map[string]int, status engine.Status, rec arrow.RecordBatch, d *store.Division, index, count int) {
	s.t.Helper()
	keys, err := samplekey.New(rec, engine.SampleColumns(s.lookup(s.leaf)))
	if err != nil {
		s.t.Fatal(err)
	}
	members, err := samplekey.NewMembers(rec, d, index, count)
	if err != nil {
		s.t.Fatal(err)
	}
	for row := range int(rec.NumRows()) {
		if key, _ := keys.At(row); members.Has(key, row) {
			found[status.String()+" "+key]++
		}
	}
}

// check compares the union of the shards with the whole, and returns the largest number of bytes that a shard has read and
// what the whole has.
func (s *shardedStore) check(count int) (most, whole int64) {
	s.t.Helper()
	want, whole := s.samples(0, 1)
	union := map[string]int{}
	for i := range count {
		part, bytes := s.samples(i, count)
		most = max(most, bytes)
		for sample, n := range part {
			union[sample] += n
		}
	}
	if !maps.Equal(union, want) {
		s.t.Errorf("%d shards have %d samples, the whole has %d", count, len(union), len(want))
		for sample, n := range union {
			if n != want[sample] {
				s.t.Errorf("such as %s, %d times", sample, n)
				break
			}
		}
	}
	return most, whole
}

func every(from, to, step int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for n := from; n < to && yield(n); n += step {
		}
	}
}

// TestShardsOfSortedFiles cuts a table into shards that read about their part of it, runs them all at once, and then finds
// each sample in exactly one shard after all kinds of changes.
func TestShardsOfSortedFiles(t *testing.T) {
	t.Parallel()
	const (
		rows   = 100_000
		beside = 384 << 10 // bytes of footers, and of pages at the ends of intervals
	)
	s := &shardedStore{tables: newTables(t, graph), leaf: "video/crop", folder: t.TempDir()}
	s.put("1", ids, every(rows, 2*rows, 1))
	for _, count := range []int{2, 8} {
		if most, whole := s.check(count); most > whole/int64(count)+beside {
			t.Errorf("a shard of %d reads %d bytes of %d", count, most, whole)
		}
	}

	var runs errgroup.Group
	for i := range 8 {
		runs.Go(func() error {
			r, err := Run(t.Context(), s.session, Options{Concurrency: 1, Shard: Shard{i, 8}, FlushRows: 10_000}, Step{
				Graph: graph, Feature: "video/crop", Process: ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
					return withColumns(b.Rows, []string{"id", "path"}), nil
				}), Store: func(context.Context) (store.Store, error) { return s.open(), nil },
			})
			if err == nil && (r[0].Processed < rows/16 || r[0].Processed > rows/4) {
				err = fmt.Errorf("shard %d has processed %d of %d samples", i, r[0].Processed, rows)
			}
			return err
		})
	}
	if err := runs.Wait(); err != nil {
		t.Fatal(err)
	}
	if left, _ := s.samples(0, 1); len(left) != 0 {
		t.Errorf("%d samples are left", len(left))
	}
	snap, err := s.open().Snapshot(t.Context(), "video/crop")
	if err != nil || snap.RowsHint() != rows {
		t.Errorf("the table has %d rows, %v; want %d", snap.RowsHint(), err, rows)
	}

	s.put("2", ids, every(rows, 2*rows, 10))       // stale ones
	s.put("1", nil, every(2*rows, 2*rows+3000, 1)) // new ones behind all others
	s.put("1", nil, every(rows-3000, rows, 1))     // and before them
	s.remove(every(rows+5, 2*rows, 1000))          // orphans
	s.put("3", nil, every(rows+7, rows+5000, 100)) // some in a file that is not sorted
	for _, count := range []int{2, 8, 64} {
		s.check(count)
	}
}

// remove deletes videos.
func (s *shardedStore) remove(numbers func(yield func(int) bool)) {
	s.t.Helper()
	gone := map[string]bool{}
	for n := range numbers {
		gone[fmt.Sprintf(`"v%08d"`, n)] = true
	}
	s.removeKeys("video", gone)
}

// removeKeys deletes the rows of a feature with the given keys.
func (s *shardedStore) removeKeys(key feature.Key, gone map[string]bool) {
	s.t.Helper()
	by := s.lookup(key).Spec().IDColumns
	_, err := s.open().Delete(s.t.Context(), key, store.Deletion{Columns: by, Match: func(rec arrow.RecordBatch) ([]bool, error) {
		keys, err := samplekey.New(rec, by)
		out := make([]bool, rec.NumRows())
		for i := range out {
			at, _ := keys.At(i)
			out[i] = gone[at]
		}
		return out, err
	}})
	if err != nil {
		s.t.Fatal(err)
	}
}
