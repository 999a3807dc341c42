package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// sortedRuns reads the runs of a table, where a store knows of any: each ascends, and together they have all rows once.
func sortedRuns(t *testing.T, s store.Store) {
	sc := schema("id", text, "n", int64Type)
	write := func(by string, ids ...int64) {
		t.Helper()
		var rows []row
		for _, n := range ids {
			rows = append(rows, row{"id": fmt.Sprintf("%03d", n), "n": n - 50})
		}
		w := store.Write{Rows: seq(batch(t, sc, rows...))}
		if by != "" {
			w.SortedBy = []string{by}
		}
		if _, err := s.Append(context.Background(), key, w); err != nil {
			t.Fatal(err)
		}
	}
	write("id", 10, 20, 30)
	if _, ok := snapshot(t, s).(store.Sorted); !ok {
		t.Skip("the store knows of no order")
	}
	runsOf := func(column string, most int) ([]store.SortedRun, bool) {
		t.Helper()
		runs, ok, err := snapshot(t, s).(store.Sorted).SortedRuns(context.Background(), column, most)
		if err != nil {
			t.Fatal(err)
		}
		return runs, ok
	}
	if _, ok := runsOf("n", 9); ok {
		t.Error("rows are said to be sorted by another column")
	}
	write("id", 1, 99)
	write("id", 30, 30, 41)
	write("id", 41, 60)
	write("id", 2, 3)
	snap := snapshot(t, s)
	runs, ok := runsOf("id", 3)
	if !ok {
		t.Fatal("the files are no runs")
	}
	var files []int
	for _, run := range runs {
		var ordinals []int
		for _, f := range run {
			ordinals = append(ordinals, f.Ordinal)
			if rows := rowsOf(t, scan(t, snap, store.Query{Files: []int{f.Ordinal}})); int64(len(rows)) != f.Rows {
				t.Errorf("file %d has %d rows, and %d are said", f.Ordinal, len(rows), f.Rows)
			}
		}
		if got := column(rowsOf(t, scan(t, snap, store.Query{Files: ordinals})), "id"); !slices.IsSorted(got) {
			t.Errorf("the run of files %v is %q", ordinals, got)
		}
		files = append(files, ordinals...)
	}
	if slices.Sort(files); !slices.Equal(files, []int{0, 1, 2, 3, 4}) {
		t.Errorf("the runs have files %v", files)
	}
	if _, ok := runsOf("id", 2); ok {
		t.Error("there are more than 2 runs")
	}
	write("", 7)
	if _, ok := runsOf("id", 9); ok {
		t.Error("a file was not declared to be sorted")
	}
}

// noNulls asks whether members are known to have no nulls.
func noNulls(t *testing.T, s store.Store) {
	sc := schema("id", text, "by", arrow.StructOf(fields("a", text, "b", text)...), "flat", text)
	appendRows(t, s, sc, row{"id": "1", "by": row{"a": "x", "b": "x"}, "flat": "x"})
	counter, ok := snapshot(t, s).(store.NullCounter)
	if !ok {
		t.Skip("the store does not count nulls")
	}
	check := func(members []string, want bool) {
		t.Helper()
		if got := snapshot(t, s).(store.NullCounter).NoNulls("by", members); got != want {
			t.Errorf("%v have no nulls: %v, want %v", members, got, want)
		}
	}
	check([]string{"a", "b"}, true)
	check([]string{"a", "c"}, false)
	if counter.NoNulls("flat", []string{"a"}) || counter.NoNulls("none", []string{"a"}) {
		t.Error("a column has members that it does not have")
	}
	appendRows(t, s, sc, row{"id": "2", "by": row{"a": "x", "b": nil}, "flat": "x"})
	check([]string{"a"}, true)
	check([]string{"a", "b"}, false)
	appendRows(t, s, sc, row{"id": "3", "by": nil, "flat": "x"})
	check([]string{"a"}, false)
}
