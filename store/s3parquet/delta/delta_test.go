package delta_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

var idSchema = arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)

// newTable returns a table in a new folder, and the bucket it is in.
func newTable(t *testing.T) (*delta.Table, *bucket.Dir) {
	t.Helper()
	b, err := bucket.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &delta.Table{Bucket: b, Path: "a/b.delta"}, b
}

// fresh returns the same table without anything known about it.
func fresh(t *delta.Table) *delta.Table { return &delta.Table{Bucket: t.Bucket, Path: t.Path} }

// change adds one file of a name.
func change(name string) delta.Change {
	return delta.Change{Schema: idSchema, Files: []delta.Add{{Path: name, Size: 10}}, Rows: 1}
}

// add commits one file after whatever there is.
func add(t *testing.T, table *delta.Table, c delta.Change) int64 {
	t.Helper()
	base, err := table.Snapshot(t.Context())
	if err != nil && !errors.Is(err, store.ErrNoTable) {
		t.Fatal(err)
	}
	version, err := table.Append(t.Context(), base, c)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func snapshot(t *testing.T, table *delta.Table) *delta.Snapshot {
	t.Helper()
	s, err := table.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(s *delta.Snapshot) []string {
	var out []string
	for _, f := range s.Files {
		out = append(out, f.Name)
	}
	return out
}

// logFile is the name in the bucket of a file of the log.
func logFile(name string) string { return path.Join("a/b.delta/_delta_log", name) }

func commitFile(version int) string { return logFile(fmt.Sprintf("%020d.json", version)) }

func readObject(t *testing.T, b bucket.Bucket, name string) string {
	t.Helper()
	r, err := b.Get(t.Context(), name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func writeObject(t *testing.T, b bucket.Bucket, name, body string) {
	t.Helper()
	if _, err := b.Put(t.Context(), name, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
}

func TestNoTable(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	if _, err := table.Snapshot(t.Context()); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("Snapshot of nothing = %v, want store.ErrNoTable", err)
	}
	writeObject(t, b, logFile("_last_checkpoint"), `{"version":10}`)
	writeObject(t, b, logFile("00000000000000000010.crc"), `{}`)
	if _, err := table.Snapshot(t.Context()); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("Snapshot of a log without commits = %v, want store.ErrNoTable", err)
	}
}

func TestAppendAndReplay(t *testing.T) {
	t.Parallel()
	table, _ := newTable(t)
	var want []string
	for i := range 25 { // over two checkpoints
		name := fmt.Sprintf("ü b%%%d.parquet", 25-i)
		want = append(want, name)
		c := change(name)
		c.Properties = map[string]string{"round": fmt.Sprint(i)}
		if v := add(t, table, c); v != int64(i) {
			t.Fatalf("commit %d has version %d", i, v)
		}
		for _, tab := range []*delta.Table{table, fresh(table)} {
			s := snapshot(t, tab)
			if !slices.Equal(names(s), want) || s.Version != int64(i) {
				t.Fatalf("after commit %d: version %d, files %q; want %q", i, s.Version, names(s), want)
			}
			if got := s.MetaData.Configuration["round"]; got != "0" {
				t.Fatalf("property is %q, want that of the first commit", got)
			}
		}
	}
}

func TestCheckpointStandsAlone(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprintf("%d.parquet", 10-i))
		add(t, table, change(want[i]))
	}
	before := snapshot(t, fresh(table))
	for i := range 10 {
		if err := b.Delete(t.Context(), commitFile(i)); err != nil {
			t.Fatal(err)
		}
	}
	s := snapshot(t, table) // which knew the table before
	if s.Version != 9 || !slices.Equal(names(s), want) {
		t.Errorf("version %d with %q, want 9 with %q", s.Version, names(s), want)
	}
	if s.MetaData.ID != before.MetaData.ID || !s.Schema.Equal(before.Schema) || s.Files[3].Size != 10 {
		t.Errorf("the checkpoint holds %+v, want %+v", s.MetaData, before.MetaData)
	}
	if v := add(t, table, change("next.parquet")); v != 10 {
		t.Errorf("next version is %d, want 10", v)
	}
	if got := names(snapshot(t, fresh(table))); !slices.Equal(got, append(want, "next.parquet")) {
		t.Errorf("files are %q", got)
	}
}

func TestHintIsOnlyAHint(t *testing.T) {
	t.Parallel()
	for _, hint := range []string{"", "{", `{"version":3}`, `{"version":-1}`, `{"version":99}`, `"x"`, "null"} {
		table, b := newTable(t)
		for i := range 12 {
			add(t, table, change(fmt.Sprint(i)))
		}
		writeObject(t, b, logFile("_last_checkpoint"), hint)
		if s := snapshot(t, fresh(table)); s.Version != 11 || len(s.Files) != 12 {
			t.Errorf("with hint %q: version %d with %d files, want 11 with 12", hint, s.Version, len(s.Files))
		}
	}
}

func TestDamagedLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		damage func(t *testing.T, b bucket.Bucket)
		want   string
	}{
		"gap":          {func(t *testing.T, b bucket.Bucket) { remove(t, b, commitFile(2)) }, "commit 2 is missing"},
		"no beginning": {func(t *testing.T, b bucket.Bucket) { remove(t, b, commitFile(0)) }, "commit 0 is missing"},
		"truncated": {func(t *testing.T, b bucket.Bucket) {
			body := readObject(t, b, commitFile(3))
			writeObject(t, b, commitFile(3), body[:len(body)-5])
		}, "00000000000000000003.json, line 2"},
		"empty":       {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(1), "") }, "00000000000000000001.json is empty"},
		"not JSON":    {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(1), "\x00\x01") }, "1.json, line 1"},
		"wrong type":  {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(1), `{"add":{"path":1}}`) }, "line 1"},
		"no path":     {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(1), `{"add":{"size":1}}`) }, "line 1"},
		"escape":      {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(1), `{"add":{"path":"..%2Fx"}}`) }, "not a path below"},
		"bad percent": {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(1), `{"add":{"path":"%zz"}}`) }, `"%zz"`},
		"no protocol": {func(t *testing.T, b bucket.Bucket) { writeObject(t, b, commitFile(0), `{"commitInfo":{}}`) }, "no protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table, b := newTable(t)
			for i := range 5 {
				add(t, table, change(fmt.Sprint(i)))
			}
			c.damage(t, b)
			_, err := fresh(table).Snapshot(t.Context())
			if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "a/b.delta") {
				t.Errorf("Snapshot = %v; want store.ErrCorrupt with %q and the table", err, c.want)
			}
		})
	}
}

func remove(t *testing.T, b bucket.Bucket, name string) {
	t.Helper()
	if err := b.Delete(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func TestTableMadeAnew(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	add(t, table, change("old"))
	snapshot(t, table)
	remove(t, b, commitFile(0))
	other := fresh(table)
	c := change("new")
	c.Info = map[string]string{"longer": "than before"}
	add(t, other, c)
	add(t, other, change("newer"))
	if got, want := names(snapshot(t, table)), []string{"new", "newer"}; !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
}

func TestConcurrentAppendsLoseNothing(t *testing.T) {
	t.Parallel()
	shared, _ := newTable(t)
	const writers, commits = 6, 5
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			table := fresh(shared)
			for i := range commits {
				base, err := table.Snapshot(context.Background())
				if err != nil && !errors.Is(err, store.ErrNoTable) {
					t.Error(err)
					return
				}
				c := change(fmt.Sprintf("%d-%d", w, i))
				if w%2 == 0 { // half of them bring a column of their own
					column := arrow.Field{Name: fmt.Sprintf("c%d", w), Type: arrow.PrimitiveTypes.Int64, Nullable: true}
					c.Schema = arrow.NewSchema(append(idSchema.Fields(), column), nil)
				}
				if _, err := table.Append(context.Background(), base, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	s := snapshot(t, shared)
	if s.Version != writers*commits-1 || len(s.Files) != writers*commits {
		t.Errorf("version %d with %d files, want %d with %d", s.Version, len(s.Files), writers*commits-1, writers*commits)
	}
	if s.Schema.NumFields() != 1+writers/2 {
		t.Errorf("columns are %s, want the id and one of each second writer", s.Schema)
	}
	var modified int64
	for _, f := range s.Files {
		if f.ModificationTime <= modified {
			t.Errorf("file %s has modification time %d, not above %d", f.Name, f.ModificationTime, modified)
		}
		modified = f.ModificationTime
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	table, _ := newTable(t)
	none, first := int64(-1), int64(0)
	c := change("a")
	c.Expect = &first
	if _, err := table.Append(t.Context(), nil, c); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Append to nothing, expecting version 0 = %v, want store.ErrConflict", err)
	}
	c.Expect = &none
	if _, err := table.Append(t.Context(), nil, c); err != nil {
		t.Errorf("Append to nothing, expecting nothing: %v", err)
	}
	if _, err := table.Append(t.Context(), nil, c); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Append expecting nothing to a table made since = %v, want store.ErrConflict", err)
	}
	c.Expect = &first
	base := snapshot(t, table)
	add(t, fresh(table), change("b"))
	if _, err := table.Append(t.Context(), base, c); !errors.Is(err, store.ErrConflict) {
		t.Errorf("Append expecting version 0 of 1 = %v, want store.ErrConflict", err)
	}
	if got := names(snapshot(t, table)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("files are %q", got)
	}
}

// A put whose answer is lost, and then found made, is a success; one that was lost to another writer is tried anew.
func TestAmbiguousCommit(t *testing.T) {
	t.Parallel()
	for _, mode := range buckettest.Modes() {
		for fail := range int64(12) {
			table, dir := newTable(t)
			add(t, table, change("a"))
			faults := &buckettest.Faults{Bucket: dir, Fail: fail, Mode: mode}
			under := &delta.Table{Bucket: faults, Path: table.Path}
			base := snapshot(t, table)
			_, err := under.Append(t.Context(), base, change("b"))
			got := names(snapshot(t, fresh(table)))
			made := slices.Equal(got, []string{"a", "b"})
			if err == nil != made || !made && !slices.Equal(got, []string{"a"}) {
				t.Errorf("call %d fails %s: Append = %v and the files are %q", fail, mode, err, got)
			}
		}
	}
}

func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	table, dir := newTable(t)
	faults := &buckettest.Faults{Bucket: dir, Fail: 0, Mode: buckettest.After, Stuck: true}
	under := &delta.Table{Bucket: faults, Path: table.Path}
	if _, err := under.Append(t.Context(), nil, change("a")); !errors.Is(err, delta.ErrUnknown) {
		t.Errorf("Append without any answer = %v, want delta.ErrUnknown", err)
	}
}

// unsteady is a bucket whose first commit gets lost on its way, and which refuses the next ones.
type unsteady struct {
	bucket.Bucket
	creates int
}

func (b *unsteady) Create(context.Context, string, []byte) error {
	if b.creates++; b.creates == 1 {
		return buckettest.ErrInjected
	}
	return fs.ErrPermission
}

// The credentials expire while nobody knows whether the first attempt will still arrive.
func TestUnknownOutcomeThenRefused(t *testing.T) {
	t.Parallel()
	table, dir := newTable(t)
	under := &delta.Table{Bucket: &unsteady{Bucket: dir}, Path: table.Path}
	if _, err := under.Append(t.Context(), nil, change("a")); !errors.Is(err, delta.ErrUnknown) {
		t.Errorf("Append = %v, want delta.ErrUnknown: its files must stay", err)
	}
	refused := &delta.Table{Bucket: &unsteady{Bucket: dir, creates: 1}, Path: table.Path}
	if _, err := refused.Append(t.Context(), nil, change("a")); errors.Is(err, delta.ErrUnknown) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Append = %v, want fs.ErrPermission: nothing was sent before", err)
	}
}

// torn is a bucket that cuts off what it reads after so many lines, without an error, so many times.
type torn struct {
	bucket.Bucket
	lines int
	times atomic.Int64
}

func (b *torn) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	r, err := b.Bucket.Get(ctx, name, off, n)
	if err != nil || !strings.HasSuffix(name, "1.json") || b.times.Add(-1) < 0 {
		return r, err
	}
	body, err := io.ReadAll(r)
	cut := strings.Join(strings.SplitAfter(string(body), "\n")[:b.lines], "")
	return io.NopCloser(strings.NewReader(cut)), errors.Join(err, r.Close())
}

// A commit that ends between two lines would be one without its files: it is read again, and never believed.
func TestCommitCutBetweenLines(t *testing.T) {
	t.Parallel()
	table, dir := newTable(t)
	add(t, table, change("a"))
	add(t, table, change("b"))
	for _, times := range []int64{1, 2, 100} {
		cut := &torn{Bucket: dir, lines: 1}
		cut.times.Store(times)
		under := &delta.Table{Bucket: cut, Path: table.Path}
		s, err := under.Snapshot(t.Context())
		switch {
		case times < 3 && (err != nil || !slices.Equal(names(s), []string{"a", "b"})):
			t.Errorf("cut %d times: %v", times, err)
		case times == 100 && !errors.Is(err, store.ErrCorrupt):
			t.Errorf("cut each time: %v, want store.ErrCorrupt", err)
		}
	}
}

func TestSnapshotAtAndHistory(t *testing.T) {
	t.Parallel()
	table, _ := newTable(t)
	for i := range 12 {
		c := change(fmt.Sprint(i))
		c.Info = map[string]string{"run": fmt.Sprint(i), "operation": "mine"}
		add(t, table, c)
	}
	for _, version := range []int64{0, 5, 9, 10, 11} {
		s, err := table.SnapshotAt(t.Context(), version)
		if err != nil || s.Version != version || len(s.Files) != int(version)+1 {
			t.Errorf("SnapshotAt(%d) = %+v, %v", version, s, err)
		}
	}
	if _, err := table.SnapshotAt(t.Context(), 12); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SnapshotAt(12) = %v, want fs.ErrNotExist", err)
	}
	next := int64(11)
	for e, err := range table.History(t.Context()) {
		if err != nil || e.Version != next || e.Added != 1 || e.Bytes != 10 || e.Info.Operation != "WRITE" {
			t.Fatalf("History has %+v, %v; want version %d", e, err, next)
		}
		for _, want := range []string{fmt.Sprintf(`"run":"%d"`, next), `"info.operation":"mine"`, `"engineInfo":"metaxy-pipes/`} {
			if !strings.Contains(string(e.Info.Raw), want) {
				t.Errorf("commit %d notes %s, want %s in it", next, e.Info.Raw, want)
			}
		}
		next--
	}
	if next != -1 {
		t.Errorf("History ends before version %d", next)
	}
}
