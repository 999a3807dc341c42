package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// inFolder gives a fixture a real store, and a func that ingests a row.
func inFolder(t *testing.T) (f *fixture, folder string, ingest func(id string)) {
	t.Helper()
	dir := t.TempDir()
	folder = filepath.Join(dir, "store")
	f = newFixture()
	f.program.Store = func(ctx context.Context) (store.Store, engine.Hashing, error) {
		st, err := s3parquet.Open(ctx, folder, s3parquet.Options{})
		return st, engine.Hashing{}, err
	}
	rows := filepath.Join(dir, "rows.jsonl")
	return f, folder, func(id string) {
		t.Helper()
		if err := os.WriteFile(rows, fmt.Appendf(nil, "{\"id\":%q}\n", id), 0o644); err != nil {
			t.Fatal(err)
		}
		f.must(t, "", "ingest", "video", "--from", rows)
	}
}

func dataFiles(t *testing.T, folder string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "video.delta", "*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// TestOptimizeAndVacuum merges small files, keeps the old ones as long as they are to be retained, and then deletes them.
func TestOptimizeAndVacuum(t *testing.T) {
	t.Parallel()
	f, folder, ingest := inFolder(t)
	for i := range 5 {
		ingest(fmt.Sprint("v", 5-i))
	}
	before, _ := f.must(t, "", "read", "video")
	stdout, stderr := f.must(t, "", "optimize")
	var got struct{ Features []optimizedTable }
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if o := got.Features; len(o) != 1 || o[0].Feature != "video" || o[0].FilesRemoved != 5 || o[0].FilesAdded != 1 || o[0].Rows != 5 || o[0].Version != 5 {
		t.Errorf("optimize prints %s", stdout)
	}
	if stderr != "removed=5 added=1\n" {
		t.Errorf("optimize says %q", stderr)
	}
	if _, stderr := f.must(t, "", "optimize", "video"); stderr != "removed=0 added=0\n" {
		t.Errorf("optimize again says %q", stderr)
	}
	if _, stderr := f.must(t, "", "vacuum"); stderr != "files=0 bytes=0 log_files=0\n" {
		t.Errorf("vacuum says %q", stderr)
	}
	for _, retain := range []string{"0", "0s", "59m"} {
		if _, stderr, code := f.run(t.Context(), "", "vacuum", "--retain", retain); code != ExitSetup || !strings.Contains(stderr, "--yes") {
			t.Errorf("vacuum --retain %s exits with %d: %s", retain, code, stderr)
		}
	}
	if _, stderr := f.must(t, "", "vacuum", "--retain", "0", "--dry-run"); !strings.HasPrefix(stderr, "files=5 bytes=") || dataFiles(t, folder) != 6 {
		t.Errorf("a dry run says %q and leaves %d files", stderr, dataFiles(t, folder))
	}
	stdout, _ = f.must(t, "", "vacuum", "video", "--retain", "0", "--yes")
	if strings.Count(stdout, ".parquet") != 5 || dataFiles(t, folder) != 1 {
		t.Errorf("vacuum prints %s and leaves %d files", stdout, dataFiles(t, folder))
	}
	after, _ := f.must(t, "", "read", "video")
	if sortedLines(after) != sortedLines(before) {
		t.Errorf("rows were\n%s\nand are\n%s", before, after)
	}
	for _, command := range []string{"optimize", "vacuum"} {
		if _, stderr, code := f.run(t.Context(), "", command, "video/crop"); code != ExitFailed || !strings.Contains(stderr, "no table of video/crop") {
			t.Errorf("%s of a feature without a table exits with %d: %s", command, code, stderr)
		}
	}
}

func sortedLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		for j := range i {
			if lines[i] < lines[j] {
				lines[i], lines[j] = lines[j], lines[i]
			}
		}
	}
	return strings.Join(lines, "\n")
}

// TestIngestTidies: many small ingests do not leave as many files.
func TestIngestTidies(t *testing.T) {
	t.Parallel()
	f, folder, ingest := inFolder(t)
	for i := range 40 {
		ingest(fmt.Sprint("v", i))
	}
	st, _, err := f.program.Store(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	snap, err := st.Snapshot(t.Context(), "video")
	if err != nil {
		t.Fatal(err)
	}
	if n := snap.State().Files; n > 9 || dataFiles(t, folder) != 41 {
		t.Errorf("40 ingests leave %d files in the table, and %d in its folder", n, dataFiles(t, folder))
	}
	if out, _ := f.must(t, "", "read", "video"); strings.Count(out, "\n") != 40 {
		t.Errorf("rows:\n%s", out)
	}
}
