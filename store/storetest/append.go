package storetest

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func missing(t *testing.T, s store.Store) {
	if _, err := s.Snapshot(t.Context(), key); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("snapshot of a table that is not there: %v, want ErrNoTable", err)
	}
}

func appendAndScan(t *testing.T, s store.Store) {
	sc := schema("id", text, "n", int64Type)
	before := time.Now().Add(-2 * time.Second)
	c, err := s.Append(t.Context(), key, store.Write{Rows: seq(
		batch(t, sc, row{"id": "a", "n": 1}, row{"id": "b"}),
		batch(t, sc),
		batch(t, sc, row{"n": 3}),
	), Info: map[string]string{"run": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Version != 0 || c.Rows != 3 || c.Files < 1 || c.Bytes <= 0 {
		t.Errorf("commit is %+v, want version 0 with 3 rows in at least one file", c)
	}
	snap := snapshot(t, s)
	if snap.Version() != 0 || !sameColumns(snap.Schema(), sc) || snap.URI() == "" {
		t.Errorf("snapshot has version %d, URI %q and columns %v", snap.Version(), snap.URI(), snap.Schema())
	}
	if ts := snap.Timestamp(); ts.Before(before) || ts.After(time.Now().Add(2*time.Second)) {
		t.Errorf("timestamp of the commit is %v", ts)
	}
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{})), row{"id": "a", "n": 1}, row{"id": "b"}, row{"n": 3})
}

func emptyAppend(t *testing.T, s store.Store) {
	sc := schema("id", text)
	for _, rows := range []iter.Seq2[arrow.RecordBatch, error]{nil, seq(), seq(batch(t, sc))} {
		c, err := s.Append(t.Context(), key, store.Write{Rows: rows})
		if err != nil || c.Version != -1 || c.Rows != 0 || c.Files != 0 {
			t.Errorf("append of nothing to no table: %+v, %v; want version -1", c, err)
		}
	}
	if _, err := s.Snapshot(t.Context(), key); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("an append without rows made a table: %v", err)
	}
	appendRows(t, s, sc, ids("a")...)
	appendRows(t, s, sc, ids("b")...)
	c, err := s.Append(t.Context(), key, store.Write{Rows: seq(batch(t, schema("id", text, "new", text)))})
	if err != nil || c.Version != 1 || c.Rows != 0 {
		t.Errorf("append of nothing: %+v, %v; want version 1", c, err)
	}
	if snap := snapshot(t, s); snap.Version() != 1 || !sameColumns(snap.Schema(), sc) {
		t.Errorf("an append without rows changed the table: version %d, columns %v", snap.Version(), snap.Schema())
	}
}

func failedAppend(t *testing.T, s store.Store) {
	sc := schema("id", text)
	stop := errors.New("source broke")
	rows := func(yield func(arrow.RecordBatch, error) bool) {
		_ = yield(batch(t, sc, ids("a")...), nil) && yield(nil, stop)
	}
	if _, err := s.Append(t.Context(), key, store.Write{Rows: rows}); !errors.Is(err, stop) {
		t.Errorf("append of rows that end in an error: %v, want that error", err)
	}
	if _, err := s.Snapshot(t.Context(), key); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("a failed append left a table: %v", err)
	}
	mixed := seq(batch(t, sc, ids("a")...), batch(t, schema("other", text), row{"other": "x"}))
	if _, err := s.Append(t.Context(), key, store.Write{Rows: mixed}); !errors.Is(err, store.ErrSchema) {
		t.Errorf("append of batches with different columns: %v, want ErrSchema", err)
	}
}

func expect(t *testing.T, s store.Store) {
	sc := schema("id", text)
	write := func(version int64, id string) error {
		w := store.Write{Rows: seq(batch(t, sc, ids(id)...)), Expect: &version}
		_, err := s.Append(t.Context(), key, w)
		return err
	}
	if err := write(0, "x"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("append to no table that expects version 0: %v, want ErrConflict", err)
	}
	if err := write(-1, "a"); err != nil {
		t.Errorf("append that expects no table: %v", err)
	}
	if err := write(-1, "x"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("append to a table that expects none: %v, want ErrConflict", err)
	}
	if err := write(0, "b"); err != nil {
		t.Errorf("append that expects version 0: %v", err)
	}
	if err := write(0, "x"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("append to a table that has moved: %v, want ErrConflict", err)
	}
	sameStrings(t, column(rowsOf(t, scan(t, snapshot(t, s), store.Query{})), "id"), []string{"a", "b"})
}

func properties(t *testing.T, s store.Store) {
	want := map[string]string{"metaxy.hash_algorithm": "xxh3_64", `odd "key"`: "new\nline 🎬", "empty": ""}
	for i, p := range []map[string]string{want, {"metaxy.hash_algorithm": "md5", "more": "x"}} {
		w := store.Write{Rows: seq(batch(t, schema("id", text), ids(fmt.Sprint(i))...)), Properties: p}
		if _, err := s.Append(t.Context(), key, w); err != nil {
			t.Fatal(err)
		}
		got := snapshot(t, s).Properties()
		maps.DeleteFunc(got, func(k, _ string) bool { return strings.HasPrefix(k, "delta.") })
		if !maps.Equal(got, want) {
			t.Errorf("properties after write %d are %v, want those of the first, %v", i, got, want)
		}
	}
}

// keys checks that tables do not meet although their names are alike.
func keys(t *testing.T, s store.Store) {
	all := []feature.Key{"a", "a/b", "a/b/c", "a_b", "a-c"}
	for _, k := range all {
		w := store.Write{Rows: seq(batch(t, schema("id", text), ids(string(k))...))}
		if _, err := s.Append(t.Context(), k, w); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range all {
		got := rowsOf(t, scan(t, snapshotOf(t, s, k), store.Query{}))
		sameStrings(t, column(got, "id"), []string{string(k)})
	}
}

func snapshots(t *testing.T, s store.Store) {
	sc := schema("id", text)
	appendRows(t, s, sc, ids("a")...)
	old := snapshot(t, s)
	appendRows(t, s, schema("id", text, "new", text), row{"id": "b", "new": "x"})
	if now := snapshot(t, s); now.Version() != 1 {
		t.Errorf("version after the second append is %d, want 1", now.Version())
	}
	if old.Version() != 0 || !sameColumns(old.Schema(), sc) {
		t.Errorf("an append changed an older snapshot: version %d, columns %v", old.Version(), old.Schema())
	}
	sameRows(t, rowsOf(t, scan(t, old, store.Query{})), row{"id": "a"})
	if _, err := old.Fetch(t.Context(), []store.RowRef{store.MakeRowRef(1, 0)}, nil); err == nil {
		t.Error("an older snapshot fetches a newer row")
	}
}

func concurrentAppends(t *testing.T, s store.Store) {
	const writers, each = 4, 5
	var wg sync.WaitGroup
	versions := make([][]int64, writers)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				// Every writer brings a column of its own, so that the loser's schema has to be merged again.
				sc := schema("id", text, fmt.Sprintf("w%d", w), int64Type)
				r := row{"id": fmt.Sprintf("%d-%d", w, i), fmt.Sprintf("w%d", w): i}
				c, err := s.Append(t.Context(), key, store.Write{Rows: seq(batch(t, sc, r))})
				if err != nil {
					t.Errorf("concurrent append: %v", err)
					return
				}
				versions[w] = append(versions[w], c.Version)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(versions...)
	slices.Sort(all)
	for i, v := range all {
		if v != int64(i) {
			t.Fatalf("commits got versions %v, want each from 0 to %d once", all, writers*each-1)
		}
	}
	rows := rowsOf(t, scan(t, snapshot(t, s), store.Query{}))
	got := column(rows, "id")
	slices.Sort(got)
	if len(slices.Compact(got)) != writers*each {
		t.Errorf("after concurrent appends there are rows %q, want %d different ones", got, writers*each)
	}
	for _, r := range rows {
		var w, i int
		if _, err := fmt.Sscanf(r["id"].(string), "%d-%d", &w, &i); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(r[fmt.Sprintf("w%d", w)]) != fmt.Sprint(i) {
			t.Errorf("row %v has lost its writer's column", r)
		}
	}
}

func sortedBy(t *testing.T, s store.Store) {
	sc := schema("id", text, "n", int64Type)
	rows := []row{{"n": 5}, {"id": "", "n": -1}, {"id": "a"}, {"id": "a", "n": -3}, {"id": "a", "n": 2}, {"id": "ÿ", "n": 0}}
	w := store.Write{Rows: seq(batch(t, sc, rows...)), SortedBy: []string{"id", "n"}}
	if _, err := s.Append(t.Context(), key, w); err != nil {
		t.Fatal(err)
	}
	sameRows(t, rowsOf(t, scan(t, snapshot(t, s), store.Query{})), rows...)
}

// marks are kept from commit to commit, each until it is set again, with rows and without.
func marks(t *testing.T, s store.Store) {
	sc := schema("id", text)
	mark := func(rows iter.Seq2[arrow.RecordBatch, error], values map[string]int64) store.Commit {
		t.Helper()
		c, err := s.Append(t.Context(), key, store.Write{Rows: rows, Marks: values})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := mark(seq(), map[string]int64{"a": 1}); c.Version != -1 {
		t.Errorf("marks without a table made version %d", c.Version)
	}
	mark(seq(batch(t, sc, row{"id": "x"})), map[string]int64{"a": 1, "b": 2})
	first := snapshot(t, s)
	if c := mark(nil, map[string]int64{"a": 0, "ü/\" \n": 1 << 60}); c.Version != 1 || c.Rows != 0 {
		t.Errorf("marks without rows: %+v, want version 1", c)
	}
	for i := range 12 { // beyond a checkpoint
		mark(seq(batch(t, sc, row{"id": fmt.Sprint(i)})), nil)
	}
	if got, want := first.Marks(), map[string]int64{"a": 1, "b": 2}; !maps.Equal(got, want) {
		t.Errorf("the first version has marks %v, want %v", got, want)
	}
	if got, want := snapshot(t, s).Marks(), map[string]int64{"a": 0, "b": 2, "ü/\" \n": 1 << 60}; !maps.Equal(got, want) {
		t.Errorf("the table has marks %v, want %v", got, want)
	}
	if n := len(rowsOf(t, scan(t, snapshot(t, s), store.Query{}))); n != 13 {
		t.Errorf("the table has %d rows, want 13", n)
	}
}
