package s3parquet_test

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

func TestRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, s3parquet.Options{})
	appendRows(t, s, "f", write(ids("a", "x")))
	appendRows(t, s, "f", write(ids("b")))
	if _, err := s.Delete(t.Context(), "f", deletion("x")); err != nil {
		t.Fatal(err)
	}
	appendRows(t, s, "f", write(ids("c")))
	states := map[int64][]string{0: {"a", "x"}, 1: {"a", "x", "b"}, 2: {"a", "b"}, 3: {"a", "b", "c"}}
	next := int64(4)
	for _, to := range []int64{1, 3, 0, 2, 1, 3} {
		c, err := s.Restore(t.Context(), "f", to)
		if err != nil || c.Version != next {
			t.Fatalf("Restore(%d) = %+v, %v; want version %d", to, c, err, next)
		}
		next++
		for _, s := range []*s3parquet.Store{s, openStore(t, dir, s3parquet.Options{})} {
			got := scanned(t, snapshot(t, s, "f"), store.Query{})
			slices.Sort(got)
			want := []string{}
			for _, id := range states[to] {
				want = append(want, `["`+id+`"]`)
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("restored to %d: the rows are %q, want %q", to, got, want)
			}
		}
	}
	if c, err := s.Restore(t.Context(), "f", next-1); err != nil || c.Version != next-1 || c.Rows != 0 {
		t.Errorf("Restore of what is there = %+v, %v", c, err)
	}
	if _, err := s.Restore(t.Context(), "f", 99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Restore(99) = %v, want fs.ErrNotExist", err)
	}
}

// A version whose files are gone cannot be brought back, and the table stays as it is.
func TestRestoreWithoutFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, s3parquet.Options{})
	appendRows(t, s, "f", write(ids("a", "x")))
	if _, err := s.Delete(t.Context(), "f", deletion("x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path.Join(dir, "f.delta", addedPath(t, dir, 0))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Restore(t.Context(), "f", 0); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("Restore = %v, want store.ErrCorrupt", err)
	}
	if snap := snapshot(t, s, "f"); snap.Version() != 1 {
		t.Errorf("the table is at version %d", snap.Version())
	}
}
