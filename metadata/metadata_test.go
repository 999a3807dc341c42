package metadata_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/metadata"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

// graph is a root and a feature computed from it, whose code has a version.
func graph(t *testing.T, code string) *feature.Graph {
	t.Helper()
	g, err := feature.NewGraph([]feature.Definition{
		{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "frames"}, {Key: "audio"}}}},
		{Spec: feature.Spec{Key: "crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video"}},
			Fields: []feature.Field{{Key: "frames", CodeVersion: code}}}},
	}, feature.Options{Project: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func lookup(t *testing.T, g *feature.Graph, key feature.Key) *feature.Feature {
	t.Helper()
	f, err := g.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// clock moves on by a second at each look.
func clock() func() time.Time {
	now := start
	return func() time.Time { now = now.Add(time.Second); return now }
}

func table(s store.Store, f *feature.Feature) *metadata.Table {
	return &metadata.Table{Store: s, Feature: f, ProjectVersion: "pv", MaterializationID: "m", Now: clock()}
}

// batch makes rows of JSON objects, with string columns, x as a number and versions of the given fields.
func batch(t *testing.T, fields []string, lines ...string) arrow.RecordBatch {
	t.Helper()
	var members []arrow.Field
	for _, f := range fields {
		members = append(members, arrow.Field{Name: f, Type: arrow.BinaryTypes.String, Nullable: true})
	}
	types := map[string]arrow.DataType{"x": arrow.PrimitiveTypes.Int64, "metaxy_created_at": arrow.FixedWidthTypes.Timestamp_us}
	for _, name := range []string{feature.ColProvenanceByField, feature.ColDataVersionByField} {
		types[name] = arrow.StructOf(members...)
	}
	var names []string
	for _, line := range lines {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		for name := range row {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	var columns []arrow.Field
	for _, name := range names {
		f := arrow.Field{Name: name, Type: types[name], Nullable: true}
		if f.Type == nil {
			f.Type = arrow.BinaryTypes.String
		}
		columns = append(columns, f)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(columns, nil))
	for _, line := range lines {
		if err := b.UnmarshalJSON([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	return b.NewRecordBatch()
}

func seq(batches ...arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	}
}

func video(t *testing.T, version string, ids ...string) arrow.RecordBatch {
	t.Helper()
	var lines []string
	for i, id := range ids {
		lines = append(lines, fmt.Sprintf(`{"id":%q,"x":%d,"path":"%s-%s","metaxy_provenance_by_field":{"frames":"%s","audio":"a"}}`,
			id, i, id, version, version))
	}
	return batch(t, []string{"frames", "audio"}, lines...)
}

func write(t *testing.T, tab *metadata.Table, rows ...arrow.RecordBatch) store.Commit {
	t.Helper()
	c, err := tab.Write(t.Context(), seq(rows...), metadata.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// read returns the rows as texts of the columns.
func read(t *testing.T, s store.Store, f *feature.Feature, o engine.ReadOptions, columns ...string) []string {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), f.Key())
	if err != nil {
		t.Fatal(err)
	}
	o.Columns = columns
	out := []string{}
	for rec, err := range engine.Read(t.Context(), snap, f, o) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			var cells []string
			for _, col := range rec.Columns() {
				cells = append(cells, col.ValueStr(i))
			}
			out = append(out, strings.Join(cells, " "))
		}
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// everything reads all rows, deletions too.
var everything = engine.ReadOptions{AllSamples: true, AllFeatureVersions: true, IncludeDeleted: true}

func TestWrite(t *testing.T) {
	t.Parallel()
	s, f := store.NewMemory(), lookup(t, graph(t, "1"), "video")
	tab := table(s, f)
	write(t, tab, video(t, "1", "b", "a"), video(t, "1", "c"))
	write(t, tab, video(t, "2", "a"))
	same(t, read(t, s, f, engine.ReadOptions{}, "id", "path", "metaxy_materialization_id", "metaxy_project_version"),
		"a a-2 m pv", "b b-1 m pv", "c c-1 m pv")
	snap, err := s.Snapshot(t.Context(), "video")
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range snap.Scan(t.Context(), store.Query{Columns: []string{"id"}}) {
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Column(0).String(); b.File == 0 && got != `["a" "b" "c"]` {
			t.Errorf("the first write has the ids %s, want them sorted", got)
		}
	}
	if c := write(t, tab); c.Version != 1 || c.Rows != 0 {
		t.Errorf("a write of nothing is %+v", c)
	}
}

// Nulls of given columns stay as Metaxy stores them, or are filled in.
func TestWriteFillsNulls(t *testing.T) {
	t.Parallel()
	f := lookup(t, graph(t, "1"), "video")
	rows := batch(t, []string{"frames", "audio"},
		`{"id":"a","metaxy_provenance":"own","metaxy_created_at":"2001-01-01T00:00:00Z","metaxy_provenance_by_field":{"frames":"1","audio":"2"}}`,
		`{"id":"b","metaxy_provenance_by_field":{"frames":"1","audio":"2"}}`)
	for _, fill := range []bool{false, true} {
		s := store.NewMemory()
		if _, err := table(s, f).Write(t.Context(), seq(rows), metadata.WriteOptions{FillNulls: fill}); err != nil {
			t.Fatal(err)
		}
		b := "b (null) (null)"
		if fill {
			b = "b 10459041471021459211 2026-01-02T03:04:06Z"
		}
		got := read(t, s, f, engine.ReadOptions{}, "id", "metaxy_provenance", "metaxy_created_at")
		if fill && len(got) == 2 { // the hash is checked by the vectors
			hash := strings.Fields(got[1])[1]
			b = strings.Replace(b, "10459041471021459211", hash, 1)
			if hash == "(null)" || hash == "own" {
				t.Errorf("the provenance is %s", hash)
			}
		}
		same(t, got, "a own 2001-01-01T00:00:00Z", b)
	}
}

// What takes the place of a row from the future is later than that one.
func TestWriteAfterTheFuture(t *testing.T) {
	t.Parallel()
	s, f := store.NewMemory(), lookup(t, graph(t, "1"), "video")
	ahead := table(s, f)
	ahead.Now = func() time.Time { return start.Add(time.Hour) }
	write(t, ahead, video(t, "1", "a", "b"))
	write(t, table(s, f), video(t, "2", "a"))
	same(t, read(t, s, f, engine.ReadOptions{}, "path"), "a-2", "b-1")
	if _, err := table(s, f).Delete(t.Context(), metadata.DeleteOptions{Filters: []string{"id = 'b'"}}); err != nil {
		t.Fatal(err)
	}
	same(t, read(t, s, f, engine.ReadOptions{}, "path"), "a-2")
}

func TestPreserveFeatureVersion(t *testing.T) {
	t.Parallel()
	s, f := store.NewMemory(), lookup(t, graph(t, "1"), "video")
	rows := batch(t, []string{"frames", "audio"},
		`{"id":"a","metaxy_feature_version":"old","metaxy_project_version":"p","metaxy_provenance_by_field":{"frames":"1","audio":"2"}}`)
	if _, err := table(s, f).Write(t.Context(), seq(rows), metadata.WriteOptions{PreserveFeatureVersion: true}); err != nil {
		t.Fatal(err)
	}
	same(t, read(t, s, f, engine.ReadOptions{}, "id"))
	same(t, read(t, s, f, engine.ReadOptions{AllFeatureVersions: true, FeatureVersion: "old"}, "id"), "a")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := lookup(t, graph(t, "1"), "video")
	for _, c := range []struct {
		options  metadata.DeleteOptions
		rows     int64
		current  []string
		physical int
	}{
		{metadata.DeleteOptions{}, 3, []string{}, 7},
		{metadata.DeleteOptions{Filters: []string{"path = 'a-1'"}}, 0, []string{"a-2", "b-1", "c-1"}, 4}, // not the newest
		{metadata.DeleteOptions{Filters: []string{"path = 'a-2'"}}, 1, []string{"b-1", "c-1"}, 5},
		{metadata.DeleteOptions{Filters: []string{"id = 'a'"}, WithSampleHistory: true}, 2, []string{"b-1", "c-1"}, 6},
		{metadata.DeleteOptions{Filters: []string{"id = 'a'"}, Hard: true}, 2, []string{"b-1", "c-1"}, 2},
		{metadata.DeleteOptions{Filters: []string{"x >= 0", "id != 'b'"}, Hard: true}, 3, []string{"b-1"}, 1},
		{metadata.DeleteOptions{Hard: true}, 4, []string{}, 0},
		{metadata.DeleteOptions{Filters: []string{"id = 'z'"}, Hard: true}, 0, []string{"a-2", "b-1", "c-1"}, 4},
	} {
		s := store.NewMemory()
		tab := table(s, f)
		write(t, tab, video(t, "1", "a", "b", "c"))
		write(t, tab, video(t, "2", "a"))
		n, err := tab.Chosen(t.Context(), c.options)
		if err != nil || n != c.rows {
			t.Errorf("%+v: Chosen = %d, %v; want %d", c.options, n, err, c.rows)
		}
		commit, err := tab.Delete(t.Context(), c.options)
		if err != nil || commit.Rows != c.rows {
			t.Errorf("%+v: %+v, %v; want %d rows", c.options, commit, err, c.rows)
		}
		same(t, read(t, s, f, engine.ReadOptions{}, "path"), c.current...)
		if got := read(t, s, f, everything, "path"); len(got) != c.physical {
			t.Errorf("%+v: the table has the rows %q, want %d", c.options, got, c.physical)
		}
	}
	for _, hard := range []bool{false, true} {
		tab := table(store.NewMemory(), f)
		if _, err := tab.Delete(t.Context(), metadata.DeleteOptions{Hard: hard}); !errors.Is(err, store.ErrNoTable) {
			t.Errorf("delete without a table: %v, want store.ErrNoTable", err)
		}
		write(t, tab, video(t, "1", "a"))
		for _, filter := range []string{"nothing = 1", "id = ", "x = 'text'"} {
			o := metadata.DeleteOptions{Hard: hard, Filters: []string{filter}}
			if _, err := tab.Delete(t.Context(), o); !errors.Is(err, engine.ErrPlan) {
				t.Errorf("delete %q: %v, want engine.ErrPlan", filter, err)
			}
		}
	}
}

// A soft deletion of what a fallback store has is written to the primary one; a hard one is not for it.
func TestDeleteFromFallback(t *testing.T) {
	t.Parallel()
	f := lookup(t, graph(t, "1"), "video")
	old, local := store.NewMemory(), store.NewMemory()
	write(t, table(old, f), video(t, "1", "a", "b"))
	both := store.WithFallback(local, old)
	if _, err := table(both, f).Delete(t.Context(), metadata.DeleteOptions{Hard: true}); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("hard deletion from a fallback store: %v, want store.ErrNoTable", err)
	}
	if c, err := table(both, f).Delete(t.Context(), metadata.DeleteOptions{Filters: []string{"id = 'a'"}}); err != nil || c.Rows != 1 {
		t.Fatalf("%+v, %v", c, err)
	}
	same(t, read(t, local, f, everything, "id"), "a")
	same(t, read(t, old, f, engine.ReadOptions{}, "id"), "a", "b")
}

// Each call to the storage fails once, in each way: a soft deletion and a write are made, or not made, and tell which.
func TestFaults(t *testing.T) {
	t.Parallel()
	f := lookup(t, graph(t, "1"), "video")
	ops := map[string]func(context.Context, *metadata.Table) error{
		"write": func(ctx context.Context, tab *metadata.Table) error {
			_, err := tab.Write(ctx, seq(video(t, "2", "a")), metadata.WriteOptions{})
			return err
		},
		"delete": func(ctx context.Context, tab *metadata.Table) error {
			_, err := tab.Delete(ctx, metadata.DeleteOptions{Filters: []string{"id = 'a'"}})
			return err
		},
		"hard": func(ctx context.Context, tab *metadata.Table) error {
			_, err := tab.Delete(ctx, metadata.DeleteOptions{Filters: []string{"id = 'a'"}, Hard: true})
			return err
		},
	}
	after := map[string][]string{"write": {"a-2", "b-1"}, "delete": {"b-1"}, "hard": {"b-1"}}
	for name, op := range ops {
		for _, mode := range buckettest.Modes() {
			t.Run(name+" "+mode.String(), func(t *testing.T) {
				t.Parallel()
				for n := int64(0); ; n++ {
					dir, err := bucket.OpenDir(t.TempDir())
					if err != nil {
						t.Fatal(err)
					}
					clean := s3parquet.New(dir, s3parquet.Options{})
					write(t, table(clean, f), video(t, "1", "a", "b"))
					faults := &buckettest.Faults{Bucket: dir, Fail: n, Mode: mode}
					tab := table(s3parquet.New(faults, s3parquet.Options{}), f)
					tab.Now = func() time.Time { return start.Add(time.Minute) }
					err = op(t.Context(), tab)
					want := after[name]
					if err != nil {
						want = []string{"a-1", "b-1"}
					}
					same(t, read(t, s3parquet.New(dir, s3parquet.Options{}), f, engine.ReadOptions{}, "path"), want...)
					if faults.Calls() <= n {
						return
					}
				}
			})
		}
	}
}

// Rows that are too many to be sorted are written as they come, all in one commit.
func TestWriteMuch(t *testing.T) {
	t.Parallel()
	s, f := store.NewMemory(), lookup(t, graph(t, "1"), "video")
	tab := table(s, f)
	tab.SortBytes = 1
	if c := write(t, tab, video(t, "1", "c", "b"), video(t, "1", "d"), video(t, "1", "a")); c.Version != 0 || c.Rows != 4 {
		t.Errorf("%+v, want 4 rows in version 0", c)
	}
	snap, err := s.Snapshot(t.Context(), "video")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for b, err := range snap.Scan(t.Context(), store.Query{Columns: []string{"id"}}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(b.NumRows()) {
			got += b.Column(0).ValueStr(i)
		}
	}
	if got != "cbda" {
		t.Errorf("the rows come as %s, want cbda", got)
	}
	stop := errors.New("stop")
	_, err = tab.Write(t.Context(), func(yield func(arrow.RecordBatch, error) bool) {
		_ = yield(video(t, "2", "x"), nil) && yield(video(t, "2", "y"), nil) && yield(nil, stop)
	}, metadata.WriteOptions{})
	if !errors.Is(err, stop) {
		t.Errorf("a write whose rows end in an error: %v", err)
	}
	same(t, read(t, s, f, engine.ReadOptions{}, "id"), "a", "b", "c", "d")
}

func TestCopy(t *testing.T) {
	t.Parallel()
	from, to, was, f := store.NewMemory(), store.NewMemory(), lookup(t, graph(t, "1"), "crop"), lookup(t, graph(t, "2"), "crop")
	crop := func(version string, ids ...string) arrow.RecordBatch {
		var lines []string
		for _, id := range ids {
			lines = append(lines, fmt.Sprintf(`{"id":%q,"path":"%s-%s","metaxy_provenance_by_field":{"frames":"1"}}`, id, id, version))
		}
		return batch(t, []string{"frames"}, lines...)
	}
	if _, err := table(to, f).Copy(t.Context(), from, metadata.CopyOptions{}); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("copy from no table: %v, want store.ErrNoTable", err)
	}
	source := table(from, was)
	write(t, source, crop("old", "a", "b", "c"))
	if _, err := source.Delete(t.Context(), metadata.DeleteOptions{Filters: []string{"id = 'c'"}}); err != nil {
		t.Fatal(err)
	}
	source.Feature = f
	write(t, source, crop("new", "a"))
	write(t, source, crop("newer", "a"))
	for _, c := range []struct {
		options metadata.CopyOptions
		want    []string
	}{
		{metadata.CopyOptions{}, []string{"a-newer " + f.Version(), "b-old " + was.Version()}},
		{metadata.CopyOptions{CurrentVersion: true}, []string{"a-newer " + f.Version()}},
		{metadata.CopyOptions{CurrentVersion: true, WithSampleHistory: true}, []string{"a-new " + f.Version(), "a-newer " + f.Version()}},
		{metadata.CopyOptions{Filters: []string{"id = 'b'"}}, []string{"b-old " + was.Version()}},
	} {
		to := store.NewMemory()
		target := table(to, f)
		target.MaterializationID = "copied"
		if _, err := target.Copy(t.Context(), from, c.options); err != nil {
			t.Fatal(err)
		}
		same(t, read(t, to, f, everything, "path", "metaxy_feature_version"), c.want...)
		if got := read(t, to, f, everything, "metaxy_materialization_id"); got[0] != "copied" {
			t.Errorf("the materialization id is %q", got)
		}
	}
}
