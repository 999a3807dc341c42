package s3parquet_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

// Each call to the storage fails once, in each way, until the story ends before the fault. The table is always as
// before or as after the write, and the write says which unless it says that nobody knows.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	stories := []struct {
		name          string
		run           func(ctx context.Context, s *s3parquet.Store) error
		before, after []string
	}{
		{"append", func(ctx context.Context, s *s3parquet.Store) error {
			_, err := s.Append(ctx, "f", write(ids("b")))
			return err
		}, []string{`["a"]`, `["x"]`, `["y"]`}, []string{`["a"]`, `["x"]`, `["y"]`, `["b"]`}},
		{"delete", func(ctx context.Context, s *s3parquet.Store) error {
			_, err := s.Delete(ctx, "f", deletion("x"))
			return err
		}, []string{`["a"]`, `["x"]`, `["y"]`}, []string{`["a"]`, `["y"]`}},
		{"optimize", func(ctx context.Context, s *s3parquet.Store) error {
			_, err := s.Optimize(ctx, "f", store.Optimization{})
			return err
		}, []string{`["a"]`, `["x"]`, `["y"]`}, []string{`["a"]`, `["x"]`, `["y"]`}},
		{"vacuum", func(ctx context.Context, s *s3parquet.Store) error {
			_, err := s.Vacuum(ctx, "f", s3parquet.Vacuuming{Now: time.Now().Add(time.Hour)})
			return err
		}, []string{`["a"]`, `["x"]`, `["y"]`}, []string{`["a"]`, `["x"]`, `["y"]`}},
		{"optimize and vacuum", func(ctx context.Context, s *s3parquet.Store) error {
			if _, err := s.Optimize(ctx, "f", store.Optimization{}); err != nil {
				return err
			}
			_, err := s.Vacuum(ctx, "f", s3parquet.Vacuuming{Now: time.Now().Add(time.Hour)})
			return err
		}, []string{`["a"]`, `["x"]`, `["y"]`}, []string{`["a"]`, `["x"]`, `["y"]`}},
		{"restore", func(ctx context.Context, s *s3parquet.Store) error {
			_, err := s.Restore(ctx, "f", 0)
			return err
		}, []string{`["a"]`, `["x"]`, `["y"]`}, []string{`["a"]`, `["x"]`}},
	}
	for _, story := range stories {
		for _, stuck := range []bool{false, true} {
			for _, mode := range buckettest.Modes() {
				t.Run(story.name+" "+mode.String(), func(t *testing.T) {
					t.Parallel()
					succeeded := 0
					for n := int64(0); ; n++ {
						dir := openDir(t)
						clean := s3parquet.New(dir, s3parquet.Options{})
						appendRows(t, clean, "f", write(ids("a", "x")))
						appendRows(t, clean, "f", write(ids("y")))
						faults := &buckettest.Faults{Bucket: dir, Fail: n, Mode: mode, Stuck: stuck}
						err := story.run(t.Context(), s3parquet.New(faults, s3parquet.Options{}))
						rows := scanned(t, snapshot(t, s3parquet.New(dir, s3parquet.Options{}), "f"), store.Query{})
						switch {
						case err == nil && !slices.Equal(rows, story.after):
							t.Errorf("call %d: it succeeds and the rows are %q", n, rows)
						case err != nil && !slices.Equal(rows, story.before) && !(stuck && slices.Equal(rows, story.after)):
							t.Errorf("call %d: %v and the rows are %q", n, err, rows)
						case err != nil && !tellsCause(err, mode):
							t.Errorf("call %d: %v does not tell the cause", n, err)
						}
						if err == nil {
							succeeded++
						}
						if faults.Calls() <= n { // the fault lay behind the end
							break
						}
					}
					if succeeded == 0 {
						t.Error("no write succeeds")
					}
				})
			}
		}
	}
}

// deletion chooses the rows with an id.
func deletion(id string) store.Deletion {
	return store.Deletion{Where: []store.Equal{{Column: "id", Value: id}}}
}

// A deletion that fails, and one that has to be planned anew, leaves no data file that no version names, if the storage
// lets it.
func TestDeleteLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := s3parquet.New(dir, s3parquet.Options{})
	appendRows(t, s, "f", write(ids("a", "x", "b", "x2")))
	count := func() (n int) {
		for o, err := range dir.List(t.Context(), "f.delta/", "") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(o.Name, ".parquet") {
				n++
			}
		}
		return n
	}
	stop := errors.New("stop")
	failing := store.Deletion{Columns: []string{"id"}, Match: func(arrow.RecordBatch) ([]bool, error) { return nil, stop }}
	if _, err := s.Delete(t.Context(), "f", failing); !errors.Is(err, stop) {
		t.Errorf("Delete = %v, want the error of Match", err)
	}
	if n := count(); n != 1 {
		t.Errorf("after a deletion that failed there are %d data files, want 1", n)
	}
	faster := &overtaken{Bucket: dir, with: func() {
		if _, err := s.Delete(t.Context(), "f", deletion("x2")); err != nil {
			t.Error(err)
		}
		appendRows(t, s, "f", write(ids("c", "x")))
	}}
	c, err := s3parquet.New(faster, s3parquet.Options{}).Delete(t.Context(), "f", deletion("x"))
	if err != nil || c.Version != 3 || c.Rows != 2 || c.Files != 2 {
		t.Fatalf("Delete = %+v, %v; want version 3 without 2 rows", c, err)
	}
	got := scanned(t, snapshot(t, s, "f"), store.Query{})
	if want := []string{`["a"]`, `["b"]`, `["c"]`}; !slices.Equal(got, want) {
		t.Errorf("the rows are %q, want %q", got, want)
	}
	if n := count(); n != 5 { // two appended, one by the other deletion, two by this one
		t.Errorf("there are %d data files, want 5", n)
	}
}

// overtaken is a bucket in which somebody else commits just before the first commit.
type overtaken struct {
	bucket.Bucket
	with func()
}

func (b *overtaken) Create(ctx context.Context, name string, body []byte) error {
	if with := b.with; with != nil {
		b.with = nil
		with()
	}
	return b.Bucket.Create(ctx, name, body)
}

// tellsCause reports whether an error names what was injected, or what of it could be seen.
func tellsCause(err error, mode buckettest.Mode) bool {
	if mode.Silent() {
		return errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrNoTable) || errors.Is(err, buckettest.ErrInjected)
	}
	return errors.Is(err, buckettest.ErrInjected)
}

func openDir(t *testing.T) *bucket.Dir {
	t.Helper()
	b, err := bucket.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Reading fails with an error, or not at all; it never yields other rows.
func TestFaultWhileReading(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	clean := s3parquet.New(dir, s3parquet.Options{})
	want := []string{}
	for _, id := range []string{"a", "b", "c"} {
		appendRows(t, clean, "f", write(ids(id)))
		want = append(want, `["`+id+`"]`)
	}
	for _, mode := range buckettest.Modes() {
		for n := int64(0); ; n++ {
			faults := &buckettest.Faults{Bucket: dir, Fail: n, Mode: mode}
			rows, err := readAll(t.Context(), t, s3parquet.New(faults, s3parquet.Options{}))
			if err == nil && !slices.Equal(rows, want) {
				t.Errorf("call %d fails %s: the rows are %q, want %q", n, mode, rows, want)
			}
			if err != nil && !tellsCause(err, mode) {
				t.Errorf("call %d fails %s: %v does not tell the cause", n, mode, err)
			}
			if faults.Calls() <= n {
				break
			}
		}
	}
}

func readAll(ctx context.Context, t *testing.T, s *s3parquet.Store) ([]string, error) {
	snap, err := s.Snapshot(ctx, "f")
	if err != nil {
		return nil, err
	}
	rows := []string{}
	for batch, err := range snap.Scan(ctx, store.Query{}) {
		if err != nil {
			return nil, err
		}
		for i := range int(batch.NumRows()) {
			rows = append(rows, rowText(t, batch.RecordBatch, i))
		}
	}
	return rows, nil
}

// A checkpoint that cannot be written is no reason for a commit to fail.
func TestFailingCheckpoint(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := s3parquet.New(noCheckpoints{dir}, s3parquet.Options{})
	for range 12 {
		appendRows(t, s, "f", write(ids("a")))
	}
	if v := snapshot(t, s3parquet.New(dir, s3parquet.Options{}), "f").Version(); v != 11 {
		t.Errorf("version is %d, want 11", v)
	}
}

// noCheckpoints is a bucket that refuses to store checkpoints.
type noCheckpoints struct{ bucket.Bucket }

func (b noCheckpoints) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	if strings.Contains(name, "checkpoint") {
		return 0, buckettest.ErrInjected
	}
	return b.Bucket.Put(ctx, name, body)
}
