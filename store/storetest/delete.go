package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// dropping chooses the rows whose id begins with a text.
func dropping(prefix string) store.Deletion {
	return store.Deletion{Columns: []string{"id"}, Predicate: "id LIKE '" + prefix + "%'",
		Match: func(rec arrow.RecordBatch) ([]bool, error) {
			ids := rec.Column(0).(*array.String)
			out := make([]bool, ids.Len())
			for i := range out {
				out[i] = ids.IsValid(i) && strings.HasPrefix(ids.Value(i), prefix)
			}
			return out, nil
		}}
}

func deleteRows(t *testing.T, s store.Store) {
	sc := schema("id", text, "v", text, "n", int64Type)
	appendRows(t, s, sc, row{"id": "a1", "v": "x", "n": 1}, row{"id": "b1", "v": "x"}, row{"id": "a2", "v": "y"}, row{"v": "x"})
	appendRows(t, s, sc, row{"id": "a3", "v": "x"}, row{"id": "a4", "v": "x"})
	appendRows(t, s, sc, row{"id": "b2"})
	before := snapshot(t, s)
	if got := before.LastRemoval(); got != -1 {
		t.Errorf("last removal of a table that only grew is %d, want -1", got)
	}
	d := dropping("a")
	d.Where = []store.Equal{{Column: "v", Value: "x"}}
	c, err := s.Delete(t.Context(), key, d)
	if err != nil || c.Version != 3 || c.Rows != 3 || c.Files != 1 {
		t.Fatalf("delete: %+v, %v; want version 3, 3 rows, 1 file", c, err)
	}
	snap := snapshot(t, s)
	if _, ok := snap.Since(t.Context(), before.State(), before.Version()); ok {
		t.Error("a table extends a state of which rows were taken out")
	}
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{})),
		row{"id": "b1", "v": "x"}, row{"id": "a2", "v": "y"}, row{"v": "x"}, row{"id": "b2"})
	if snap.Version() != 3 || snap.LastRemoval() != 3 || !sameColumns(snap.Schema(), sc) {
		t.Errorf("version %d, last removal %d, columns %v", snap.Version(), snap.LastRemoval(), snap.Schema())
	}
	sameStrings(t, column(rowsOf(t, scan(t, before, store.Query{})), "id"), []string{"a1", "b1", "a2", "<nil>", "a3", "a4", "b2"})
	if c, err = s.Delete(t.Context(), key, store.Deletion{}); err != nil || c.Rows != 4 || c.Files != 0 {
		t.Fatalf("delete of all: %+v, %v; want 4 rows and no file", c, err)
	}
	empty := snapshot(t, s)
	sameRows(t, rowsOf(t, scan(t, empty, store.Query{})))
	if !sameColumns(empty.Schema(), sc) || empty.RowsHint() != 0 || empty.BytesHint() != 0 {
		t.Errorf("the emptied table has columns %v and a hint of %d rows of %d bytes", empty.Schema(), empty.RowsHint(), empty.BytesHint())
	}
	appendRows(t, s, sc, row{"id": "c"})
	sameRows(t, rowsOf(t, scan(t, snapshot(t, s), store.Query{})), row{"id": "c"})
	if got := snapshot(t, s).LastRemoval(); got != 4 {
		t.Errorf("last removal is %d, want 4", got)
	}
}

func deleteNothing(t *testing.T, s store.Store) {
	if _, err := s.Delete(t.Context(), key, store.Deletion{}); !errors.Is(err, store.ErrNoTable) {
		t.Errorf("delete without a table: %v, want ErrNoTable", err)
	}
	appendRows(t, s, schema("id", text), ids("a", "b")...)
	if c, err := s.Delete(t.Context(), key, dropping("z")); err != nil || c.Version != 0 || c.Rows != 0 {
		t.Errorf("delete of no row: %+v, %v; want version 0", c, err)
	}
	for _, d := range []store.Deletion{{Columns: []string{"other"}}, {Where: []store.Equal{{Column: "other"}}}} {
		if d.Match = dropping("a").Match; d.Columns == nil {
			d.Columns = []string{"id"}
		}
		if _, err := s.Delete(t.Context(), key, d); !errors.Is(err, store.ErrSchema) {
			t.Errorf("delete by a column that is not there: %v, want ErrSchema", err)
		}
	}
	broken := errors.New("broken condition")
	for _, match := range []func(arrow.RecordBatch) ([]bool, error){
		func(arrow.RecordBatch) ([]bool, error) { return nil, broken },
		func(arrow.RecordBatch) ([]bool, error) { return []bool{true}, nil },
	} {
		if _, err := s.Delete(t.Context(), key, store.Deletion{Match: match}); err == nil {
			t.Error("a condition that fails deletes")
		}
	}
	sameStrings(t, column(rowsOf(t, scan(t, snapshot(t, s), store.Query{})), "id"), []string{"a", "b"})
}

// deleteKeepsOrder checks that the rows that stay are where they were among the others, also for readers who begin at a
// checkpoint, and that what is newer than a version is still found.
func deleteKeepsOrder(t *testing.T, s store.Store) {
	sc := schema("id", text)
	var want []string
	for i := range 4 {
		names := []string{fmt.Sprintf("k%d", i), fmt.Sprintf("d%d", i), fmt.Sprintf("e%d", i), fmt.Sprintf("l%d", i)}
		appendRows(t, s, sc, ids(names...)...)
		want = append(want, names[0], names[3])
	}
	for i, prefix := range []string{"d2", "d1", "e2", "d", "e", "none"} {
		if _, err := s.Delete(t.Context(), key, dropping(prefix)); err != nil {
			t.Fatal(err)
		}
		late := fmt.Sprintf("late%d", i)
		appendRows(t, s, sc, ids(late)...)
		want = append(want, late)
	}
	snap := snapshot(t, s)
	sameStrings(t, column(rowsOf(t, scan(t, snap, store.Query{})), "id"), want)
	version := int64(3)
	got := column(rowsOf(t, scan(t, snap, store.Query{After: &version})), "id")
	for _, id := range want[8:] {
		if !slices.Contains(got, id) {
			t.Errorf("after version 3 comes %q, without %s", got, id)
		}
	}
}

// deleteBesideOthers checks that no row is lost, none comes back, and none is deleted twice when all write at once.
func deleteBesideOthers(t *testing.T, s store.Store) {
	sc := schema("id", text)
	appendRows(t, s, sc, ids("keep", "drop")...)
	var wg sync.WaitGroup
	var deleted atomic.Int64
	for w := range 2 {
		wg.Go(func() {
			for i := range 4 {
				b := batch(t, sc, ids(fmt.Sprintf("keep-%d-%d", w, i), fmt.Sprintf("drop-%d-%d", w, i))...)
				if _, err := s.Append(t.Context(), key, store.Write{Rows: seq(b)}); err != nil {
					t.Errorf("append: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range 3 {
				c, err := s.Delete(t.Context(), key, dropping("drop"))
				if err != nil {
					t.Errorf("delete: %v", err)
				}
				deleted.Add(c.Rows)
			}
		})
	}
	wg.Wait()
	c, err := s.Delete(t.Context(), key, dropping("drop"))
	if err != nil {
		t.Fatal(err)
	}
	if n := deleted.Add(c.Rows); n != 9 {
		t.Errorf("%d rows were deleted, want 9", n)
	}
	got := column(rowsOf(t, scan(t, snapshot(t, s), store.Query{})), "id")
	slices.Sort(got)
	want := []string{"keep"}
	for w := range 2 {
		for i := range 4 {
			want = append(want, fmt.Sprintf("keep-%d-%d", w, i))
		}
	}
	sameStrings(t, got, want)
}
