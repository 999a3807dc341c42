package s3parquet_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// A hint may leave out what was there before, and must not hide what came later: not from a reader who begins at a
// checkpoint, which does not tell when a file was added, and not when another program has compacted the table.
func TestScanAfter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, s3parquet.Options{})
	var all []string
	for i := range 14 {
		id := fmt.Sprintf("%02d", i)
		all = append(all, fmt.Sprintf("[%q]", id))
		appendRows(t, s, "f", write(ids(id)))
	}
	check := func(s *s3parquet.Store, exact bool) {
		t.Helper()
		snap := snapshot(t, s, "f")
		for version := range int64(14) {
			got, want := scanned(t, snap, store.Query{After: &version}), all[version+1:]
			missing := slices.ContainsFunc(want, func(row string) bool { return !slices.Contains(got, row) })
			if missing || exact && len(got) != len(want) {
				t.Errorf("after version %d come %q, want %q", version, got, want)
			}
		}
	}
	check(s, true)
	check(openStore(t, dir, s3parquet.Options{}), false)
	compact(t, dir)
	check(s, false)
	check(openStore(t, dir, s3parquet.Options{}), false)
}

// compact does what other programs do: it puts the rows of the files 11 to 13 into one file, and says that no data has
// changed.
func compact(t *testing.T, dir string) {
	t.Helper()
	other := t.TempDir()
	appendRows(t, openStore(t, other, s3parquet.Options{}), "f", write(ids("11", "12", "13")))
	commit := ""
	for version := 11; version <= 13; version++ {
		commit += fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":1,"dataChange":false}}`+"\n", addedPath(t, dir, version))
	}
	name := addedPath(t, other, 0)
	body, err := os.ReadFile(path.Join(other, "f.delta", name))
	if err != nil {
		t.Fatal(err)
	}
	commit += fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":1,"dataChange":false}}`+"\n", name, len(body))
	for file, body := range map[string]string{name: string(body), "_delta_log/00000000000000000014.json": commit} {
		if err := os.WriteFile(path.Join(dir, "f.delta", file), []byte(body), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// addedPath is the path of the data file that a commit has added.
func addedPath(t *testing.T, dir string, version int) string {
	t.Helper()
	body, err := os.ReadFile(path.Join(dir, "f.delta", "_delta_log", fmt.Sprintf("%020d.json", version)))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(body), `{"add":{"path":"`)
	name, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("commit %d adds no file: %s", version, body)
	}
	return name
}
