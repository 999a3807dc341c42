package delta

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// allocated returns how many bytes fn allocates.
func allocated(fn func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	fn()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// checkpointOf writes a checkpoint of a table with n files of which each has the given statistics.
func checkpointOf(t *testing.T, codec compress.Codec, n int, stats string) []byte {
	t.Helper()
	s := &Snapshot{MetaData: MetaData{ID: "x", SchemaString: `{"type":"struct","fields":[]}`}, Protocol: Protocol{MinReaderVersion: 1, MinWriterVersion: 2}}
	for i := range n {
		s.Files = append(s.Files, &File{Add: Add{Path: fmt.Sprint(i), Size: 1, Stats: stats}, Name: fmt.Sprint(i)})
	}
	var body bytes.Buffer
	w := parquet.NewGenericWriter[checkpointRow](&body, parquet.Compression(codec), parquet.KeyValueMetadata(orderKey, orderCommit))
	if _, err := w.Write(s.checkpointRows()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

// files decodes a checkpoint and returns how many files it adds.
func files(body []byte) (n int, err error) {
	_, err = decodeCheckpoint(body, wholeCheckpoint, func(a *action) error {
		if a.Add != nil {
			n++
		}
		return nil
	})
	return n, err
}

// TestCheckpointCodecs reads checkpoints in every compression that there is.
func TestCheckpointCodecs(t *testing.T) {
	t.Parallel()
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Zstd, &parquet.Brotli, &parquet.Lz4Raw} {
		if n, err := files(checkpointOf(t, codec, 100, `{"numRecords":3}`)); n != 100 || err != nil {
			t.Errorf("%s: %d files, %v", codec, n, err)
		}
	}
}

// TestForgedCheckpoint sets each four bytes of a checkpoint to a large number: what is said to be there costs no memory.
func TestForgedCheckpoint(t *testing.T) {
	for _, codec := range []compress.Codec{&parquet.Snappy, &parquet.Zstd} {
		body := checkpointOf(t, codec, 3, `{"numRecords":3}`)
		for i := 0; i+4 <= len(body); i += 11 {
			for _, n := range []uint32{1<<31 - 1, 0x0FFFFFFF} { // the second is large as a number of Parquet's headers, too
				forged := bytes.Clone(body)
				binary.LittleEndian.PutUint32(forged[i:], n)
				var err error
				used := allocated(func() { _, err = files(forged) })
				if used > 512<<20 { // other tests run at the same time
					t.Errorf("%s: %#x at byte %d: %d bytes are allocated (%v)", codec, n, i, used, err)
				}
				if err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrUnsupported) {
					t.Errorf("%s: %#x at byte %d: %v", codec, n, i, err)
				}
			}
		}
	}
}

// TestCheckpointBomb has a file that stands for gigabytes, by a dictionary of one long text that all rows have.
func TestCheckpointBomb(t *testing.T) {
	type add struct {
		Path  string `parquet:"path"`
		Stats string `parquet:"stats,dict"`
	}
	type row struct {
		Add *add `parquet:"add,optional"`
	}
	bomb := func(n, length int) []byte {
		rows := make([]row, n)
		text := strings.Repeat("0", length)
		for i := range rows {
			rows[i].Add = &add{fmt.Sprint(i), text}
		}
		var body bytes.Buffer
		w := parquet.NewGenericWriter[row](&body, parquet.Compression(&parquet.Zstd))
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return body.Bytes()
	}
	var err error
	body := bomb(4000, 1<<20)
	used := allocated(func() { _, err = files(body) })
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "in memory") || used > 1<<30 {
		t.Errorf("%d bytes that stand for 4 GB: %v, and %d bytes are allocated; want ErrCorrupt", len(body), err, used)
	}
	if n, err := files(bomb(100, 1<<20)); n != 100 || err != nil {
		t.Errorf("texts of 100 MiB that all are there: %d files, %v", n, err)
	}
}

// TestGiantCommits reads a commit of a million actions, and refuses one of a single endless line before it has taken memory.
func TestGiantCommits(t *testing.T) {
	line := `{"add":{"path":"part-%06d.parquet","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}` + "\n"
	var body strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&body, line, i)
	}
	actions, err := decodeCommit("u", strings.NewReader(body.String()), int64(body.Len()))
	if err != nil || len(actions) != 200_000 || actions[199_999].Add.Path != "part-199999.parquet" {
		t.Errorf("%d actions, %v", len(actions), err)
	}
	endless := io.MultiReader(strings.NewReader(`{"commitInfo":{"x":"`), forever('x'))
	used := allocated(func() { _, err = decodeCommit("s3://b/t/_delta_log/0.json", endless, 1<<40) })
	if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "0.json, line 1: ") || !strings.Contains(err.Error(), "more than 67108864 bytes") {
		t.Errorf("a line without an end: %v, want ErrCorrupt that names it", err)
	}
	if used > 1<<30 {
		t.Errorf("%d bytes are allocated for a line that is refused", used)
	}
}

// forever reads as one byte without an end.
type forever byte

func (b forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// TestGiantFilesOfTheLog has a _last_checkpoint, and then a checkpoint, of 1 TB. The table is read as if they were not there,
// or the error names them.
func TestGiantFilesOfTheLog(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "t"), os.DirFS(filepath.Join("..", "testdata", "tables", "commits.delta"))); err != nil {
		t.Fatal(err)
	}
	b, err := bucket.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func() (s *Snapshot, used uint64, err error) {
		used = allocated(func() { s, err = (&Table{Bucket: b, Path: "t"}).Snapshot(t.Context()) })
		return s, used, err
	}
	want, _, err := read()
	if err != nil {
		t.Fatal(err)
	}
	grow := func(name string) {
		file := filepath.Join(dir, "t", logDir, name)
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, 1<<40); err != nil {
			t.Skip("this file system has no sparse files: ", err)
		}
	}
	grow("_last_checkpoint")
	if s, used, err := read(); err != nil || s.Version != want.Version || len(s.Files) != len(want.Files) || used > 256<<20 {
		t.Errorf("with a _last_checkpoint of 1 TB: %v, and %d bytes are allocated", err, used)
	}
	name := checkpointName(want.Version)
	grow(name)
	if _, used, err := read(); !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), name) || used > 256<<20 {
		t.Errorf("with a checkpoint of 1 TB: %v, and %d bytes are allocated; want an error that names it", err, used)
	}
}
