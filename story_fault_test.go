package metaxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/ingest"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

// A storyteller goes through the life of two tables, step by step, as a user does who repeats what has failed.
type storyteller struct {
	t      *testing.T
	tables *tables
	bucket *buckettest.Memory // without faults
	faults *buckettest.Faults

	mu        sync.Mutex
	processed map[string]int // how often each sample was computed, by id and path
}

// chapters are the steps, in order.
func (s *storyteller) chapters() []func(context.Context, store.Store) error {
	first := []string{`{"id":"a","path":"1"}`, `{"id":"b","path":"1"}`, `{"id":"c","path":"1"}`, `{"id":"d","path":"1"}`}
	second := []string{`{"id":"a","path":"1"}`, `{"id":"b","path":"2"}`, `{"id":"d","path":"2"}`, `{"id":"e","path":"2"}`}
	return []func(context.Context, store.Store) error{s.ingest(first), s.run(false), s.ingest(second), s.run(true), optimize, vacuum,
		s.read}
}

// optimize puts the rows of the table of crops into one file.
func optimize(ctx context.Context, st store.Store) error {
	_, err := st.(*s3parquet.Store).Optimize(ctx, "video/crop", store.Optimization{})
	return err
}

// vacuum deletes at once what optimize has replaced, since nobody else is reading.
func vacuum(ctx context.Context, st store.Store) error {
	_, err := st.(*s3parquet.Store).Vacuum(ctx, "video/crop", s3parquet.Vacuuming{Retain: time.Nanosecond, Now: time.Now().Add(time.Second)})
	return err
}

// storyEnd is what the table of crops holds at the end.
var storyEnd = []string{`{"id":"a","crop":"1/a"}`, `{"id":"b","crop":"2/b"}`, `{"id":"d","crop":"2/d"}`, `{"id":"e","crop":"2/e"}`}

func (s *storyteller) ingest(rows []string) func(context.Context, store.Store) error {
	return func(ctx context.Context, st store.Store) error {
		path := filepath.Join(s.t.TempDir(), "rows.jsonl")
		if err := os.WriteFile(path, []byte(strings.Join(rows, "\n")), 0o600); err != nil {
			return err
		}
		src, err := ingest.Open(ctx, ingest.SourceOptions{From: path, Format: "jsonl", IDColumns: ids})
		if err != nil {
			return err
		}
		_, err = ingest.Run(ctx, ingest.Options{Feature: s.tables.lookup("video"), Store: st, Source: src, Prune: true, Now: time.Now})
		return errors.Join(err, src.Close())
	}
}

func (s *storyteller) run(deleteOrphaned bool) func(context.Context, store.Store) error {
	return func(ctx context.Context, st store.Store) error {
		process := Each(func(_ context.Context, v video) (crop, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.processed[v.ID+" "+v.Path]++
			return crop{v.Path + "/" + v.ID}, nil
		})
		_, err := Run(ctx, s.tables.session, Options{Concurrency: 1, BatchSize: 1, FlushRows: 1, DeleteOrphaned: deleteOrphaned}, Step{
			Graph: graph, Feature: "video/crop", Process: process,
			Store: func(context.Context) (store.Store, error) { return borrowed{st}, nil },
		})
		return err
	}
}

// read reads the current rows. It fails, or has them all.
func (s *storyteller) read(ctx context.Context, st store.Store) error {
	got, err := s.crops(ctx, st, engine.ReadOptions{Columns: []string{"id", "crop"}})
	if err == nil && !slices.Equal(got, storyEnd) && !s.faults.Mode.Silent() {
		s.t.Errorf("reading gives %q", got)
	}
	return err
}

func (s *storyteller) crops(ctx context.Context, st store.Store, o engine.ReadOptions) ([]string, error) {
	snap, err := st.Snapshot(ctx, "video/crop")
	if err != nil {
		return nil, err
	}
	var out []string
	for rec, err := range engine.Read(ctx, snap, s.tables.lookup("video/crop"), o) {
		if err != nil {
			return nil, err
		}
		for i := range int(rec.NumRows()) {
			out = append(out, string(rowjson.AppendRow(nil, rec, i)))
		}
	}
	slices.Sort(out)
	return out, nil
}

// tell goes through all chapters. A chapter that fails is repeated when the storage is well again, over a new store, as a
// new process does.
func (s *storyteller) tell() error {
	for i, chapter := range s.chapters() {
		s.faults.Stuck = s.faults.Stuck && s.faults.Calls() <= s.faults.Fail
		for try := 0; ; try++ {
			had := s.committed()
			before := maps.Clone(s.processed)
			err := chapter(s.t.Context(), s3parquet.New(s.faults, s3parquet.Options{}))
			has := s.committed()
			if i := slices.IndexFunc(had, func(row string) bool { return !slices.Contains(has, row) }); i >= 0 {
				return fmt.Errorf("chapter %d: a row is gone: %s", i, had[i])
			}
			for sample, n := range s.processed {
				if n > before[sample] && s.isIn(had, sample) && !s.faults.Mode.Silent() {
					return fmt.Errorf("chapter %d: sample %s was committed, and is computed again", i, sample)
				}
			}
			if err == nil {
				break
			}
			if try == 3 {
				return fmt.Errorf("chapter %d does not succeed: %w", i, err)
			}
			s.faults.Fail = min(s.faults.Fail, s.faults.Calls()-1)
			s.faults.Stuck = false // the network is back
		}
		s.faults.Settle()
		if err := s.check(); err != nil {
			return fmt.Errorf("chapter %d: %w", i, err)
		}
	}
	clean := s3parquet.New(s.bucket, s3parquet.Options{})
	if s.faults.Mode.Silent() { // a chapter may have seen an older version of the story, and succeeded with that
		if err := s.run(true)(s.t.Context(), clean); err != nil {
			return err
		}
	}
	s.faults.Mode = buckettest.Before
	return s.read(s.t.Context(), clean)
}

// committed are all rows of the table of crops.
func (s *storyteller) committed() []string {
	s.t.Helper()
	o := engine.ReadOptions{AllSamples: true, AllFeatureVersions: true, Columns: []string{"id", "crop", feature.ColProvenance}}
	rows, err := s.crops(s.t.Context(), s3parquet.New(s.bucket, s3parquet.Options{}), o)
	if err != nil && !errors.Is(err, store.ErrNoTable) {
		s.t.Fatalf("the table cannot be read: %v", err)
	}
	return rows
}

func (s *storyteller) isIn(rows []string, sample string) bool {
	id, path, _ := strings.Cut(sample, " ")
	return slices.ContainsFunc(rows, func(row string) bool {
		return strings.HasPrefix(row, fmt.Sprintf(`{"id":%q,"crop":"%s/%s"`, id, path, id))
	})
}

// check looks for rows that are there twice, or were not computed.
func (s *storyteller) check() error {
	rows := s.committed()
	for i, row := range rows {
		if i > 0 && rows[i-1] == row {
			return fmt.Errorf("a row is there twice: %s", row)
		}
		known := false
		for sample := range s.processed {
			known = known || s.isIn([]string{row}, sample)
		}
		if !known {
			return fmt.Errorf("a row was never computed: %s", row)
		}
	}
	return nil
}

// TestStoryWithFaultAtEveryCall lets each call of a whole story fail in each way: ingest, run, ingest of changes, run,
// optimize, vacuum, read. Whatever fails, nothing is lost, doubled or computed in vain, and the end is that of an undisturbed story. Unless
// METAXY_EVERY_FAULT is 1, as in make test, it takes one call of thirteen, in each way another one.
func TestStoryWithFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, mode := range buckettest.Modes() {
		for _, stuck := range []bool{false, true} {
			if stuck && mode.Silent() {
				continue // nobody can tell for how long
			}
			t.Run(fmt.Sprintf("%s, stuck %t", mode, stuck), func(t *testing.T) {
				t.Parallel()
				ts := newTables(t, graph)
				hit, first, step := int64(0), int64(0), int64(1)
				if os.Getenv("METAXY_EVERY_FAULT") != "1" {
					first, step = int64(mode), 13
				}
				for n := first; ; n += step {
					memory := &buckettest.Memory{}
					s := &storyteller{t: t, tables: ts, bucket: memory, processed: map[string]int{},
						faults: &buckettest.Faults{Bucket: memory, Fail: n, Mode: mode, Stuck: stuck}}
					if err := s.tell(); err != nil {
						t.Fatalf("call %d: %v", n, err)
					}
					if s.faults.Calls() <= n {
						break
					}
					hit++
				}
				if hit*step < 40 {
					t.Errorf("only %d calls were made to fail: the story does not do what it says", hit)
				}
			})
		}
	}
}
