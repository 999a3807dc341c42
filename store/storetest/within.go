package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// within asks for ranges of values. All rows that lie in them have to come, in order, and of the rest whatever the store
// likes.
func within(t *testing.T, s store.Store) {
	sc := schema("id", text, "n", int64Type)
	r := rand.New(rand.NewPCG(7, 7))
	var ids []string
	var numbers []int64
	for range 6 {
		var rows []row
		base := r.IntN(900)
		for range 40 {
			n := int64(base + r.IntN(100) - 500)
			numbers = append(numbers, n)
			ids = append(ids, fmt.Sprintf("%04d", n+500))
			rows = append(rows, row{"id": ids[len(ids)-1], "n": n})
		}
		appendRows(t, s, sc, rows...)
	}
	appendRows(t, s, sc, row{"id": nil, "n": nil})
	snap := snapshot(t, s)
	for range 100 {
		low := int64(r.IntN(1200) - 600)
		high := low + int64(r.IntN(50))
		for _, w := range []*store.Within{
			{Column: "id", Ranges: []store.Range{{Min: fmt.Sprintf("%04d", max(low+500, 0)), Max: fmt.Sprintf("%04d", max(high+500, 0))}}},
			{Column: "n", Ranges: []store.Range{{Min: store.OrderedInt(low), Max: store.OrderedInt(high)}}, Nulls: true},
			{Column: "n", Ranges: []store.Range{{Min: store.OrderedInt(low), Max: store.OrderedInt(low)},
				{Min: store.OrderedInt(high), Open: true}}},
		} {
			got := column(rowsOf(t, scan(t, snap, store.Query{Columns: []string{"id", "n"}, Within: w})), "id")
			var want []string
			for i := range ids {
				if value := ids[i]; w.Column == "id" && w.Has(value) || w.Column == "n" && w.Has(store.OrderedInt(numbers[i])) {
					want = append(want, value)
				}
			}
			if w.Nulls && !slices.Contains(got, "<nil>") {
				t.Errorf("%+v: the row of nulls is missing", *w)
			}
			if !isSubsequence(want, got) {
				t.Errorf("%+v: got %q, want at least %q", *w, got, want)
			}
		}
	}
}

func isSubsequence(part, whole []string) bool {
	for _, v := range whole {
		if len(part) > 0 && part[0] == v {
			part = part[1:]
		}
	}
	return len(part) == 0
}

// state tells snapshots apart by their rows.
func state(t *testing.T, s store.Store) {
	sc := schema("id", text)
	appendRows(t, s, sc, row{"id": "1"})
	first := snapshot(t, s)
	if _, err := s.Append(t.Context(), key, store.Write{Marks: map[string]int64{"m": 1}}); err != nil {
		t.Fatal(err)
	}
	if marked := snapshot(t, s); marked.State() != first.State() || !slices.Equal(since(t, marked, first), []int{}) {
		t.Error("a mark changes the state of the rows")
	}
	appendRows(t, s, sc, row{"id": "2"})
	second := snapshot(t, s)
	added := since(t, second, first)
	if second.State() == first.State() || len(added) != 1 || since(t, first, second) != nil {
		t.Errorf("since a row was added there are new files %v", added)
	}
	got := column(rowsOf(t, scan(t, second, store.Query{Files: added})), "id")
	sameStrings(t, got, []string{"2"})
	appendRows(t, s, schema("id", text, "more", text), row{"id": "3", "more": "x"})
	third := snapshot(t, s)
	if since(t, third, second) != nil {
		t.Error("a table with another schema has the state of one without")
	}
	for _, never := range []store.State{{Files: 1, Hash: third.State().Hash}, {Files: -1}, {Files: 99}} {
		for version := range int64(4) {
			if added, ok := third.Since(t.Context(), never, version-1); ok {
				t.Errorf("files %v are new since a state that never was, %+v", added, never)
			}
		}
	}
}

// since returns the files that were added to a snapshot since an older one: nil if that is not known, and else at least
// an empty list. Without the version it has to be the same here, where files are only added.
func since(t *testing.T, now, older store.Snapshot) []int {
	t.Helper()
	added, ok := now.Since(t.Context(), older.State(), older.Version())
	if blind, known := now.Since(t.Context(), older.State(), -1); known != ok || !slices.Equal(added, blind) {
		t.Errorf("without the version, files %v are new (%t), with it %v (%t)", blind, known, added, ok)
	}
	if !ok {
		return nil
	}
	return append([]int{}, added...)
}
