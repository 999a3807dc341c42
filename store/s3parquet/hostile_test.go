package s3parquet_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// onlyFile returns the path of the only file of a store whose name has an ending.
func onlyFile(t *testing.T, dir, ending string) string {
	t.Helper()
	var found []string
	for _, object := range objects(t, dir) {
		if strings.HasSuffix(object, ending) {
			found = append(found, filepath.Join(dir, object))
		}
	}
	if len(found) != 1 {
		t.Fatalf("files %v, want one", found)
	}
	return found[0]
}

// readFile and writeFile are those of package os, in a test.
func readFile(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func writeFile(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// scanError reads all of a feature's table anew, and returns the first error.
func scanError(t *testing.T, dir string) error {
	t.Helper()
	s := openStore(t, dir, s3parquet.Options{})
	for _, err := range snapshot(t, s, "f").Scan(t.Context(), store.Query{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestDataFileDamagedAnywhere cuts a data file at many places, and changes one byte at many others: what is damaged is named, or
// is a part of the file that nobody reads.
func TestDataFileDamagedAnywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	appendRows(t, openStore(t, dir, s3parquet.Options{}), "f", write(ids("a", "b", "c")))
	file := onlyFile(t, dir, ".parquet")
	whole := readFile(t, file)
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), filepath.Base(file)) {
			t.Errorf("%s: %v, want an error that names the file", what, err)
		}
	}
	for n := 0; n < len(whole); n += 1 + len(whole)/60 {
		writeFile(t, file, whole[:n])
		check(fmt.Sprintf("cut to %d of %d bytes", n, len(whole)), scanError(t, dir))
	}
	noticed := 0
	for i := 0; i < len(whole); i += 1 + len(whole)/120 {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x55
		writeFile(t, file, damaged)
		if err := scanError(t, dir); err != nil {
			noticed++
			check(fmt.Sprintf("byte %d of %d changed", i, len(whole)), err)
		}
	}
	if noticed < 20 {
		t.Errorf("%d changes were noticed", noticed)
	}
}

// TestSwappedDataFile puts files of other tables in the place of one, with the log saying the right size for them.
func TestSwappedDataFile(t *testing.T) {
	t.Parallel()
	names := array.NewStringBuilder(memory.DefaultAllocator)
	names.AppendValues([]string{"a", "b"}, nil)
	other := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "name", Type: names.Type()}}, nil), []arrow.Array{names.NewArray()}, 2)
	for why, rows := range map[string]arrow.RecordBatch{
		"it has 4 rows, and the log says 2":    ids("a", "b", "c", "d"),
		`it has no column "id"`:                other,
		`its column "id" has none of the valu`: ids("c", "d"),
	} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		appendRows(t, openStore(t, dir, s3parquet.Options{}), "f", write(ids("a", "b")))
		appendRows(t, openStore(t, elsewhere, s3parquet.Options{}), "f", write(rows))
		file, commit := onlyFile(t, dir, ".parquet"), onlyFile(t, dir, "0.json")
		swapped := readFile(t, onlyFile(t, elsewhere, ".parquet"))
		writeFile(t, file, swapped)
		log := readFile(t, commit)
		writeFile(t, commit, regexp.MustCompile(`"size":\d+`).ReplaceAll(log, fmt.Appendf(nil, `"size":%d`, len(swapped))))
		err := scanError(t, dir)
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(file)) || !strings.Contains(err.Error(), why) {
			t.Errorf("another file of the same size: %v, want store.ErrCorrupt with the file and %q", err, why)
		}
	}
}

// TestBoundsThatAreCut: a log whose upper bounds are cut without being raised, as some writers do, is no reason to refuse a file.
func TestBoundsThatAreCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	appendRows(t, openStore(t, dir, s3parquet.Options{}), "f", write(ids("abcdef", "abcdefg")))
	commit := onlyFile(t, dir, "0.json")
	log := readFile(t, commit)
	cut := bytes.ReplaceAll(log, []byte(`\"id\":\"abcdefg\"`), []byte(`\"id\":\"abc\"`))
	if bytes.Equal(cut, log) {
		t.Fatalf("no such bound in %s", log)
	}
	writeFile(t, commit, cut)
	if err := scanError(t, dir); err != nil {
		t.Error(err)
	}
}

// TestGiantDataFile has a data file of 1 TB, which the log knows or does not.
func TestGiantDataFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	appendRows(t, openStore(t, dir, s3parquet.Options{}), "f", write(ids("a", "b")))
	file, commit := onlyFile(t, dir, ".parquet"), onlyFile(t, dir, "0.json")
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Skip("this file system has no sparse files: ", err)
	}
	if err := scanError(t, dir); err != nil {
		t.Errorf("a file that has grown: %v; the log says where it ends", err)
	}
	writeFile(t, commit, regexp.MustCompile(`"size":\d+`).ReplaceAll(readFile(t, commit), fmt.Appendf(nil, `"size":%d`, 1<<40)))
	if err := scanError(t, dir); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(file)) {
		t.Errorf("1 TB of zeros: %v, want store.ErrCorrupt with the file", err)
	}
}
