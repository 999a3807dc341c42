package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func columns(t *testing.T, s store.Store) {
	appendRows(t, s, schema("id", text, "a", text, "b", int64Type), row{"id": "1", "a": "x", "b": 2}, row{"id": "2"})
	snap := snapshot(t, s)
	sameRows(t, rowsOf(t, scan(t, snap, store.Query{Columns: []string{"b", "id"}})), row{"b": 2, "id": "1"}, row{"id": "2"})
	rows := int64(0)
	for _, b := range scan(t, snap, store.Query{Columns: []string{}}) {
		rows += b.NumRows()
	}
	if rows != 2 {
		t.Errorf("a scan of no columns yields %d rows, want 2", rows)
	}
	if snap.RowsHint() != 2 || snap.BytesHint() <= 0 || snap.BytesHint() > 1<<16 {
		t.Errorf("two small rows are said to be %d of %d bytes", snap.RowsHint(), snap.BytesHint())
	}
	bad := []store.Query{
		{Columns: []string{"id", "nothing"}},
		{Where: []store.Equal{{Column: "nothing", Value: ""}}},
		{Where: []store.Equal{{Column: "b", Value: "2"}}},
		{Columns: []string{"id"}, Members: map[string][]string{"id": {"x"}}},
	}
	for _, q := range bad {
		if err := scanError(t.Context(), snap, q); !errors.Is(err, store.ErrSchema) {
			t.Errorf("scan of %+v: %v, want ErrSchema", q, err)
		}
	}
	if _, err := snap.Fetch(t.Context(), nil, []string{"nothing"}); !errors.Is(err, store.ErrSchema) {
		t.Errorf("fetch of a column that is not there: %v, want ErrSchema", err)
	}
}

func scanError(ctx context.Context, snap store.Snapshot, q store.Query) error {
	var failed error
	for _, err := range snap.Scan(ctx, q) {
		if failed != nil {
			return errors.New("a scan goes on after an error")
		}
		failed = err
	}
	return failed
}

func members(t *testing.T, s store.Store) {
	sc := schema("id", text, "by", arrow.StructOf(fields("a", text, "b", int64Type, "c", text)...))
	appendRows(t, s, sc, row{"id": "1", "by": row{"a": "x", "b": 1, "c": "y"}}, row{"id": "2"}, row{"by": row{"a": nil}})
	snap := snapshot(t, s)
	check := func(names []string, want ...row) {
		t.Helper()
		q := store.Query{Columns: []string{"by"}, Members: map[string][]string{"by": names, "other": {"x"}}}
		sameRows(t, rowsOf(t, scan(t, snap, q)), want...)
	}
	check([]string{"c", "a"}, row{"by": row{"a": "x", "c": "y"}}, row{}, row{"by": row{"a": nil, "c": nil}})
	check([]string{"b"}, row{"by": row{"b": 1}}, row{}, row{"by": row{"b": nil}})
	check([]string{"nothing", "a"}, row{"by": row{"a": "x", "nothing": nil}}, row{}, row{"by": row{"a": nil, "nothing": nil}})
	check([]string{"nothing"}, row{"by": row{"nothing": nil}}, row{}, row{"by": row{"nothing": nil}})
}

func where(t *testing.T, s store.Store) {
	sc := schema("id", text, "v", text, "w", text)
	appendRows(t, s, sc, row{"id": "1", "v": "a", "w": "x"}, row{"id": "2", "v": "b", "w": "x"}, row{"id": "3", "v": "a"},
		row{"id": "4"}, row{"id": "5", "v": "a", "w": "x"})
	appendRows(t, s, sc, row{"id": "6", "v": "c"})
	appendRows(t, s, sc, row{"id": "7", "v": "a", "w": "x"}, row{"id": "8", "v": "a", "w": "x"})
	appendRows(t, s, schema("id", text), row{"id": "9"})
	snap := snapshot(t, s)
	check := func(want []string, conditions ...store.Equal) {
		t.Helper()
		got := scan(t, snap, store.Query{Columns: []string{"id"}, Where: conditions})
		sameStrings(t, column(rowsOf(t, got), "id"), want)
	}
	is := func(column, value string) store.Equal { return store.Equal{Column: column, Value: value} }
	check([]string{"1", "3", "5", "7", "8"}, is("v", "a"))
	check([]string{"1", "5", "7", "8"}, is("v", "a"), is("w", "x"))
	check([]string{"6"}, is("v", "c"))
	check([]string{}, is("v", "c"), is("w", "x"))
	check([]string{}, is("v", ""))
	check([]string{}, is("v", "A"))
	check([]string{"4"}, is("id", "4"))
	check([]string{}, is("v", "a"), is("v", "b"))
	q := store.Query{Columns: []string{"id"}, Where: []store.Equal{is("w", "x")}}
	got, err := snap.Fetch(t.Context(), refs(scan(t, snap, q)), []string{"id", "v"})
	if err != nil {
		t.Fatal(err)
	}
	sameStrings(t, column(rowsOfRecord(t, got), "id"), []string{"1", "2", "5", "7", "8"})
}

// after asks for what is newer than a version. All of that has to come, and of the rest whatever the store likes.
func after(t *testing.T, s store.Store) {
	sc := schema("id", text)
	var ids []string
	for i := range 25 {
		ids = append(ids, fmt.Sprintf("%02d", i))
		appendRows(t, s, sc, row{"id": ids[i]})
	}
	for version := int64(-1); version < 26; version++ {
		got := column(rowsOf(t, scan(t, snapshot(t, s), store.Query{After: &version})), "id")
		for _, id := range ids[min(int(version)+1, len(ids)):] {
			if !slices.Contains(got, id) {
				t.Errorf("after version %d comes %q, without %s", version, got, id)
			}
		}
	}
}

func fetch(t *testing.T, s store.Store) {
	for i := range 3 {
		w := store.Write{Rows: seq(numbered(i*1000, 1000))}
		if _, err := s.Append(t.Context(), key, w); err != nil {
			t.Fatal(err)
		}
	}
	snap := snapshot(t, s)
	all := refs(scan(t, snap, store.Query{Columns: []string{}}))
	if len(all) != 3000 {
		t.Fatalf("scan yields %d rows, want 3000", len(all))
	}
	want := []int{2999, 0, 1500, 1500, 1, 2000, 999, 1000, 0}
	var ask []store.RowRef
	for _, i := range want {
		ask = append(ask, all[i])
	}
	got, err := snap.Fetch(t.Context(), ask, []string{"n", "id"})
	if err != nil {
		t.Fatal(err)
	}
	if !sameColumns(got.Schema(), schema("n", int64Type, "id", text)) {
		t.Errorf("fetch returns columns %v", got.Schema())
	}
	for i, n := range got.Column(0).(*array.Int64).Int64Values() {
		if n != int64(want[i]) {
			t.Errorf("row %d of a fetch is %d, want %d", i, n, want[i])
		}
	}
	none, err := snap.Fetch(t.Context(), nil, nil)
	if err != nil || none.NumRows() != 0 || !sameColumns(none.Schema(), snap.Schema()) {
		t.Errorf("fetch of no rows: %v, %v", none, err)
	}
	slices.Reverse(all)
	whole, err := snap.Fetch(t.Context(), all, nil)
	if err != nil || whole.NumRows() != 3000 || whole.Column(2).(*array.Int64).Value(0) != 2999 {
		t.Errorf("fetch of all rows backwards: %v", err)
	}
	for _, ref := range []store.RowRef{store.MakeRowRef(99, 0), store.MakeRowRef(0, 1<<31)} {
		if _, err := snap.Fetch(t.Context(), []store.RowRef{ref}, nil); err == nil {
			t.Errorf("fetch of row %d of file %d, which is not there, is no error", ref.Row(), ref.File())
		}
	}
}

func fetchEvolved(t *testing.T, s store.Store) {
	appendRows(t, s, schema("id", text), ids("1", "2")...)
	appendRows(t, s, schema("id", text, "by", arrow.StructOf(fields("a", text)...)), row{"id": "3", "by": row{"a": "x"}})
	appendRows(t, s, schema("by", arrow.StructOf(fields("b", text)...)), row{"by": row{"b": "y"}})
	snap := snapshot(t, s)
	all := refs(scan(t, snap, store.Query{}))
	slices.Reverse(all)
	got, err := snap.Fetch(t.Context(), all, nil)
	if err != nil {
		t.Fatal(err)
	}
	sameRows(t, rowsOfRecord(t, got), row{"by": row{"a": nil, "b": "y"}}, row{"id": "3", "by": row{"a": "x", "b": nil}},
		row{"id": "2"}, row{"id": "1"})
}

func cancellation(t *testing.T, s store.Store) {
	sc := schema("id", text)
	appendRows(t, s, sc, ids("a", "b")...)
	snap := snapshot(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, key, store.Write{Rows: seq(batch(t, sc, ids("c")...))}); !errors.Is(err, context.Canceled) {
		t.Errorf("append with a cancelled context: %v, want Canceled", err)
	}
	if err := scanError(ctx, snap, store.Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("scan with a cancelled context: %v, want Canceled", err)
	}
	rows := refs(scan(t, snap, store.Query{}))
	if _, err := snap.Fetch(ctx, rows, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("fetch with a cancelled context: %v, want Canceled", err)
	}
	if v := snapshot(t, s).Version(); v != 0 {
		t.Errorf("a cancelled append made version %d", v)
	}
}

// earlyBreak checks that a consumer may stop: every goroutine of a scan ends with it.
func earlyBreak(t *testing.T, s store.Store) {
	for i := range 3 {
		w := store.Write{Rows: seq(numbered(i*50_000, 50_000))}
		if _, err := s.Append(t.Context(), key, w); err != nil {
			t.Fatal(err)
		}
	}
	snap := snapshot(t, s)
	pprof.Do(t.Context(), pprof.Labels("storetest", t.Name()), func(ctx context.Context) {
		for range 20 {
			for b, err := range snap.Scan(ctx, store.Query{}) {
				if err != nil || b.NumRows() == 0 {
					t.Fatalf("first batch: %v", err)
				}
				break
			}
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		left := labelled(t, t.Name())
		if left == "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after scans that were stopped there still run:\n%s", left)
		}
	}
	rows := 0
	for b, err := range snap.Scan(t.Context(), store.Query{Columns: []string{"n"}}) {
		if err != nil {
			t.Fatal(err)
		}
		rows += int(b.NumRows())
	}
	if rows != 150_000 {
		t.Errorf("a scan after many that were stopped yields %d rows, want 150000", rows)
	}
}

// labelled returns the stacks of goroutines of this module that have a label. Goroutines inherit the labels of the one
// that starts them; those of a connection pool may stay.
func labelled(t *testing.T, label string) string {
	t.Helper()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	for _, stack := range strings.Split(profile.String(), "\n\n") {
		if strings.Contains(stack, strconv.Quote(label)) && strings.Contains(stack, "metaxy-pipes/store") {
			return stack
		}
	}
	return ""
}
