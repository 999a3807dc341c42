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
	if marked := snapshot(t, s); marked.State() != first.State() || !marked.Extends(first.State()) {
		t.Error("a mark changes the state of the rows")
	}
	appendRows(t, s, sc, row{"id": "2"})
	second := snapshot(t, s)
	if second.State() == first.State() || !second.Extends(first.State()) || first.Extends(second.State()) {
		t.Error("rows that were added do not extend the state")
	}
	got := column(rowsOf(t, scan(t, second, store.Query{FirstFile: first.State().Files})), "id")
	sameStrings(t, got, []string{"2"})
	appendRows(t, s, schema("id", text, "more", text), row{"id": "3", "more": "x"})
	third := snapshot(t, s)
	if third.Extends(second.State()) {
		t.Error("a table with another schema extends the state")
	}
	if other := (store.State{Files: 1, Hash: third.State().Hash}); third.Extends(other) || third.Extends(store.State{Files: -1}) ||
		third.Extends(store.State{Files: 99}) {
		t.Error("a state that never was is extended")
	}
}
