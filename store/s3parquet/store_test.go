package s3parquet_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/miniotest"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

var minio miniotest.Lazy

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m, &minio)) }

// openMinIO opens a store in a new bucket.
func openMinIO(t *testing.T, o s3parquet.Options) *s3parquet.Store {
	t.Helper()
	s := newMinIO(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func newMinIO(t *testing.T, o s3parquet.Options) *s3parquet.Store {
	t.Helper()
	server, name := minio.Bucket(t)
	o.S3 = credentials(server)
	s, err := s3parquet.Open(t.Context(), "s3://"+name+"/a/store/", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func credentials(server *miniotest.Server) bucket.S3Options {
	return bucket.S3Options{
		Endpoint: server.Endpoint, AccessKeyID: server.AccessKeyID, SecretAccessKey: server.SecretAccessKey,
	}
}

// copyToMinIO copies the objects of a folder to a location on the tests' server.
func copyToMinIO(t *testing.T, folder, location string) {
	t.Helper()
	from, err := bucket.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	server, _ := minio.Bucket(t)
	to, err := bucket.Open(t.Context(), location, credentials(server))
	if err != nil {
		t.Fatal(err)
	}
	for o, err := range from.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		body, err := from.Get(t.Context(), o.Name, 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Put(t.Context(), o.Name, body); err != nil {
			t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// places are the kinds of storage that a test runs on.
var places = map[string]func(*testing.T, s3parquet.Options) *s3parquet.Store{
	"folder": func(t *testing.T, o s3parquet.Options) *s3parquet.Store { return openStore(t, t.TempDir(), o) },
	"MinIO":  openMinIO,
}

// ids returns a batch with a string column id.
func ids(values ...string) arrow.RecordBatch {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.AppendValues(values, nil)
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "id", Type: b.Type()}}, nil),
		[]arrow.Array{b.NewArray()}, int64(len(values)))
}

// batches yields batches, and then an error unless it is nil.
func batches(err error, recs ...arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

func write(recs ...arrow.RecordBatch) store.Write { return store.Write{Rows: batches(nil, recs...)} }

func appendRows(t *testing.T, s store.Appender, key feature.Key, w store.Write) store.Commit {
	t.Helper()
	c, err := s.Append(t.Context(), key, w)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// objects lists what is under a store's folder.
func objects(t *testing.T, location string) []string {
	t.Helper()
	b, err := bucket.OpenDir(location)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, o.Name)
	}
	return names
}

func TestLayouts(t *testing.T) {
	t.Parallel()
	for layout, want := range map[s3parquet.Layout]string{
		s3parquet.Nested: "video-1/crop/x_y.delta", s3parquet.Flat: "video_1__crop__x_y.delta",
	} {
		dir := t.TempDir()
		s := openStore(t, dir, s3parquet.Options{Layout: layout})
		appendRows(t, s, "video-1/crop/x_y", write(ids("a")))
		for _, name := range objects(t, dir) {
			if !strings.HasPrefix(name, want+"/") {
				t.Errorf("layout %d: object %s, want it in %s", layout, name, want)
			}
		}
		if got := snapshot(t, s, "video-1/crop/x_y").URI(); got != s.Location()+"/"+want {
			t.Errorf("layout %d: URI is %s, want %s", layout, got, s.Location()+"/"+want)
		}
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), s3parquet.Options{})
	for _, key := range []feature.Key{"", "..", "../x", "a//b", "/a", "a/../../b", "a\x00", "A b"} {
		if _, err := s.Append(t.Context(), key, write(ids("a"))); !errors.Is(err, feature.ErrKey) {
			t.Errorf("Append to %q = %v, want feature.ErrKey", key, err)
		}
		if _, err := s.Snapshot(t.Context(), key); !errors.Is(err, feature.ErrKey) {
			t.Errorf("Snapshot of %q = %v, want feature.ErrKey", key, err)
		}
	}
}

func TestFilesAreSplit(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir(), s3parquet.Options{TargetFileSize: 64 << 10})
	var values []string
	for i := range 100_000 {
		values = append(values, fmt.Sprintf("%08d%08d", i, i*7919%100_000))
	}
	w := write(ids(values[:60_000]...), ids(values[60_000:]...))
	w.SortedBy = []string{"id"}
	c := appendRows(t, s, "a", w)
	if c.Rows != 100_000 || c.Files < 2 || c.Bytes <= 0 {
		t.Errorf("commit is %+v, want 100000 rows in several files", c)
	}
	snap := snapshot(t, s, "a")
	var got []string
	files := map[uint32]bool{}
	for batch, err := range snap.Scan(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		files[batch.File] = true
		for i := range int(batch.NumRows()) {
			got = append(got, batch.Column(0).(*array.String).Value(i))
		}
	}
	if !slices.Equal(got, values) || len(files) != c.Files {
		t.Errorf("%d rows of %d files come back in another order, or others", len(got), len(files))
	}
	where := []store.Equal{{Column: "id", Value: values[77_777]}}
	if got := scanned(t, snap, store.Query{Where: where}); len(got) != 1 {
		t.Errorf("a scan for one id yields %q", got)
	}
}

func TestScanLeavesFilesOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir, s3parquet.Options{})
	for _, id := range []string{"a", "b", "c"} {
		appendRows(t, s, "f", write(ids(id)))
	}
	snap := snapshot(t, s, "f")
	for _, name := range objects(t, dir) { // only the statistics can answer now
		if strings.HasSuffix(name, ".parquet") {
			if err := os.Remove(path.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := scanned(t, snap, store.Query{Where: []store.Equal{{Column: "id", Value: "x"}}}); len(got) != 0 {
		t.Errorf("scan for another id yields %q", got)
	}
	newest := int64(2)
	if got := scanned(t, snap, store.Query{After: &newest}); len(got) != 0 {
		t.Errorf("scan after the newest version yields %q", got)
	}
	for _, err := range snap.Scan(t.Context(), store.Query{Where: []store.Equal{{Column: "id", Value: "b"}}}) {
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "part-00000-") ||
			!strings.Contains(err.Error(), "f.delta") {
			t.Errorf("scan of a missing file = %v, want store.ErrCorrupt with the file and table", err)
		}
	}
	_, err := snap.Fetch(t.Context(), []store.RowRef{store.MakeRowRef(1, 0)}, nil)
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("fetch from a missing file = %v, want store.ErrCorrupt", err)
	}
}

// What a run costs in requests: a listing and a read per small file, and nothing more when it fetches from them again.
func TestRequests(t *testing.T) {
	t.Parallel()
	counted := &buckettest.Faults{Bucket: openDir(t), Fail: -1}
	s := s3parquet.New(counted, s3parquet.Options{})
	for _, id := range []string{"a", "b", "c"} {
		appendRows(t, s, "f", write(ids(id)))
	}
	for _, c := range []struct {
		what string
		want int64
		do   func(snap store.Snapshot)
	}{
		{"snapshot of what is known", 1, func(store.Snapshot) {}},
		{"first scan", 1 + 3, func(snap store.Snapshot) { scanned(t, snap, store.Query{}) }},
		{"second scan", 1, func(snap store.Snapshot) { scanned(t, snap, store.Query{}) }},
		{"fetch", 1, func(snap store.Snapshot) {
			rec, err := snap.Fetch(t.Context(), []store.RowRef{store.MakeRowRef(2, 0), store.MakeRowRef(0, 0)}, nil)
			if err != nil || rowText(t, rec, 0) != `["c"]` {
				t.Errorf("Fetch = %v, %v", rec, err)
			}
		}},
	} {
		before := counted.Calls()
		c.do(snapshot(t, s, "f"))
		if got := counted.Calls() - before; got != c.want {
			t.Errorf("%s costs %d requests, want %d", c.what, got, c.want)
		}
	}
	before := counted.Calls()
	appendRows(t, s, "f", write(ids("d")))
	if got := counted.Calls() - before; got != 3 { // list, put the file, create the commit
		t.Errorf("an append costs %d requests, want 3", got)
	}
}

func TestDamagedDataFile(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-10] },
		"empty":     func([]byte) []byte { return nil },
		"footer":    func(b []byte) []byte { b[len(b)-6] ^= 0xff; return b },
		"other":     func(b []byte) []byte { return []byte(strings.Repeat("x", len(b))) },
	} {
		dir := t.TempDir()
		s := openStore(t, dir, s3parquet.Options{})
		appendRows(t, s, "f", write(ids("a", "b")))
		for _, object := range objects(t, dir) {
			if strings.HasSuffix(object, ".parquet") {
				file := path.Join(dir, object)
				body, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, damage(body), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, err := range snapshot(t, s, "f").Scan(t.Context(), store.Query{}) {
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "part-00000-") {
				t.Errorf("%s: scan = %v, want store.ErrCorrupt with the file", name, err)
			}
		}
	}
}

func TestFailedAppendLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	other := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}}, nil),
		[]arrow.Array{array.NewInt64Builder(memory.DefaultAllocator).NewArray()}, 0)
	number := array.NewInt64Builder(memory.DefaultAllocator)
	number.Append(1)
	clash := array.NewRecordBatch(other.Schema(), []arrow.Array{number.NewArray()}, 1)
	for name, c := range map[string]struct {
		w    store.Write
		want error
	}{
		"source breaks":     {store.Write{Rows: batches(broken, ids("x"))}, broken},
		"source only":       {store.Write{Rows: batches(broken)}, broken},
		"type clash":        {write(clash), store.ErrSchema},
		"two schemas":       {write(ids("x"), clash), store.ErrSchema},
		"sorted by nothing": {store.Write{Rows: batches(nil, ids("x")), SortedBy: []string{"no"}}, store.ErrSchema},
	} {
		dir := t.TempDir()
		s := openStore(t, dir, s3parquet.Options{})
		appendRows(t, s, "f", write(ids("a")))
		before := objects(t, dir)
		if _, err := s.Append(t.Context(), "f", c.w); !errors.Is(err, c.want) {
			t.Errorf("%s: Append = %v, want %v", name, err, c.want)
		}
		if after := objects(t, dir); !slices.Equal(before, after) {
			t.Errorf("%s: objects became %q, were %q", name, after, before)
		}
	}
}

func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared := open(t, s3parquet.Options{})
			const writers, commits = 5, 4
			var want []string
			var group sync.WaitGroup
			for w := range writers {
				for i := range commits {
					want = append(want, fmt.Sprintf(`["%d-%d"]`, w, i))
				}
				group.Go(func() {
					for i := range commits {
						_, err := shared.Append(context.Background(), "a/b", write(ids(fmt.Sprintf("%d-%d", w, i))))
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			group.Wait()
			snap := snapshot(t, shared, "a/b")
			if snap.Version() != writers*commits-1 {
				t.Errorf("version is %d, want %d", snap.Version(), writers*commits-1)
			}
			sameRows(t, "scan", scanned(t, snap, store.Query{}), want)
		})
	}
}
