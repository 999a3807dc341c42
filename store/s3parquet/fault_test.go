package s3parquet_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

// Each call to the storage fails once, in each way, until the story ends before the fault. The table is always as
// before or as after the append, and Append says which unless it says that nobody knows.
func TestFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	before, after := []string{`["a"]`}, []string{`["a"]`, `["b"]`}
	for _, stuck := range []bool{false, true} {
		for _, mode := range buckettest.Modes() {
			t.Run(mode.String(), func(t *testing.T) {
				t.Parallel()
				succeeded := 0
				for n := int64(0); ; n++ {
					dir := openDir(t)
					clean := s3parquet.New(dir, s3parquet.Options{})
					appendRows(t, clean, "f", write(ids("a")))
					faults := &buckettest.Faults{Bucket: dir, Fail: n, Mode: mode, Stuck: stuck}
					_, err := s3parquet.New(faults, s3parquet.Options{}).Append(t.Context(), "f", write(ids("b")))
					rows := scanned(t, snapshot(t, s3parquet.New(dir, s3parquet.Options{}), "f"), store.Query{})
					switch {
					case err == nil && !slices.Equal(rows, after):
						t.Errorf("call %d: Append succeeds and the rows are %q", n, rows)
					case err != nil && !slices.Equal(rows, before) && !(stuck && slices.Equal(rows, after)):
						t.Errorf("call %d: Append = %v and the rows are %q", n, err, rows)
					case err != nil && !errors.Is(err, buckettest.ErrInjected):
						t.Errorf("call %d: Append = %v does not tell the cause", n, err)
					}
					if err == nil {
						succeeded++
					}
					if faults.Calls() <= n { // the fault lay behind the end
						break
					}
				}
				if succeeded == 0 {
					t.Error("no append succeeds")
				}
			})
		}
	}
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
			if err != nil && !errors.Is(err, buckettest.ErrInjected) {
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
