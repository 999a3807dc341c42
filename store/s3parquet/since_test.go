package s3parquet_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// newRows are the rows of the files that may have some which an older snapshot has not; nil if that cannot be told.
func newRows(t *testing.T, now, older store.Snapshot) []string {
	t.Helper()
	added, ok := now.Since(t.Context(), older.State(), older.Version())
	if !ok {
		return nil
	}
	return append([]string{}, scanned(t, now, store.Query{Files: append([]int{}, added...)})...)
}

// Merging files is no change of rows. Files that were added before they were merged are in the files they were merged into.
func TestSinceAMerge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, s3parquet.Options{})
	for i := range 20 {
		appendRows(t, s, "f", write(ids(fmt.Sprintf("%02d", 19-i))))
	}
	first := snapshot(t, s, "f")
	optimize(t, s, byID)
	merged := snapshot(t, s, "f")
	check := func(now, older store.Snapshot, want ...string) {
		t.Helper()
		if got := newRows(t, now, older); got == nil || !slices.Equal(got, want) {
			t.Errorf("since version %d, version %d has %q; want %q", older.Version(), now.Version(), got, want)
		}
	}
	check(merged, first)
	check(merged, merged)
	appendRows(t, s, "f", write(ids("x")))
	check(snapshot(t, s, "f"), first, `["x"]`)
	check(snapshot(t, s, "f"), merged, `["x"]`)
	appendRows(t, s, "f", write(ids("w")))
	grown := snapshot(t, s, "f")
	optimize(t, s, byID)
	all := scanned(t, snapshot(t, s, "f"), store.Query{})
	check(snapshot(t, s, "f"), first, all...) // one file, which has the new rows
	check(snapshot(t, s, "f"), grown)
	appendRows(t, s, "f", write(ids("y")))
	check(snapshot(t, s, "f"), grown, `["y"]`)
	check(snapshot(t, openStore(t, dir, s3parquet.Options{}), "f"), grown, `["y"]`)

	now := snapshot(t, s, "f")
	for name, older := range map[string]store.State{
		"no state":       {Files: -1},
		"another number": {Files: first.State().Files - 1, Hash: first.State().Hash},
		"other names":    {Files: first.State().Files, Hash: first.State().Hash + 1},
	} {
		for version := range now.Version() + 3 {
			if added, ok := now.Since(t.Context(), older, version-1); ok {
				t.Errorf("%s: since version %d the files %v are new", name, version-1, added)
			}
		}
	}
	if _, ok := first.Since(t.Context(), now.State(), now.Version()); ok {
		t.Error("an old version has what came later")
	}
	if err := os.Remove(path.Join(dir, "f.delta", "_delta_log", fmt.Sprintf("%020d.json", first.Version()+1))); err != nil {
		t.Fatal(err)
	}
	if newRows(t, now, first) != nil {
		t.Error("what a lost part of the log did is known")
	}
}

// Of two rows with one time the later one counts, so that rows are as they were only if they are where they were. Another
// program's merged file comes last.
func TestSinceAMergeByOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, s3parquet.Options{})
	for i := range 14 {
		appendRows(t, s, "f", write(ids(fmt.Sprintf("%02d", i))))
	}
	older := snapshot(t, s, "f")
	compact(t, dir)
	if got := newRows(t, snapshot(t, s, "f"), older); got != nil {
		t.Errorf("it is told that %q is new", got)
	}
}

// A long way back is not gone, and neither one past rows that were taken out.
func TestSinceFarAway(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), s3parquet.Options{})
	appendRows(t, s, "f", write(ids("a")))
	appendRows(t, s, "f", write(ids("b")))
	first := snapshot(t, s, "f")
	optimize(t, s, byID)
	for range 199 {
		if _, err := s.Append(t.Context(), "f", store.Write{Marks: map[string]int64{"m": 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := newRows(t, snapshot(t, s, "f"), first); got == nil || len(got) > 0 {
		t.Errorf("after 200 commits it is told that %q is new", got)
	}
	if _, err := s.Append(t.Context(), "f", store.Write{Marks: map[string]int64{"m": 1}}); err != nil {
		t.Fatal(err)
	}
	if newRows(t, snapshot(t, s, "f"), first) != nil {
		t.Error("after 201 commits it is told what is new")
	}
	near := snapshot(t, s, "f")
	if _, err := s.Delete(t.Context(), "f", store.Deletion{Where: []store.Equal{{Column: "id", Value: "a"}}}); err != nil {
		t.Fatal(err)
	}
	if newRows(t, snapshot(t, s, "f"), near) != nil {
		t.Error("it is told what is new since rows were taken out")
	}
}
