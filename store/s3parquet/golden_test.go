package s3parquet_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

func openStore(t *testing.T, location string, o s3parquet.Options) *s3parquet.Store {
	t.Helper()
	s, err := s3parquet.Open(t.Context(), location, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func snapshot(t *testing.T, s store.Reader, key feature.Key) store.Snapshot {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func columnNames(s *arrow.Schema) []string {
	var names []string
	for _, f := range s.Fields() {
		names = append(names, f.Name)
	}
	return names
}

// golden is what delta-rs reads from a table; see testdata/make_tables.py.
type golden struct {
	Proves  string
	Version int64
	Columns []string
	Rows    [][]any
}

func TestTablesOfDeltaRS(t *testing.T) {
	t.Parallel()
	var tables map[string]golden
	decodeFile(t, "testdata/expected.json", &tables)
	if len(tables) < 9 {
		t.Fatalf("there are %d tables", len(tables))
	}
	s := openStore(t, "testdata/tables", s3parquet.Options{})
	for name, want := range tables {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			snap := snapshot(t, s, feature.Key(name))
			if snap.Version() != want.Version {
				t.Errorf("version is %d, want %d", snap.Version(), want.Version)
			}
			if got := columnNames(snap.Schema()); !slices.Equal(got, want.Columns) {
				t.Errorf("columns are %q, want %q", got, want.Columns)
			}
			var rows []string
			for _, row := range want.Rows {
				rows = append(rows, text(t, number(row)))
			}
			sameRows(t, "scan", scanned(t, snap, store.Query{}), rows)
			fetchesWhatScanYields(t, snap)
			eachColumnAlone(t, snap)
		})
	}
}

// The same tables are read from MinIO, over ranged requests and with keys that paths escape.
func TestTablesOfDeltaRSOnMinIO(t *testing.T) {
	t.Parallel()
	var tables map[string]golden
	decodeFile(t, "testdata/expected.json", &tables)
	s := openMinIO(t, s3parquet.Options{})
	copyToMinIO(t, "testdata/tables", s.Location())
	for name, want := range tables {
		snap := snapshot(t, s, feature.Key(name))
		var rows []string
		for _, row := range want.Rows {
			rows = append(rows, text(t, number(row)))
		}
		sameRows(t, name, scanned(t, snap, store.Query{}), rows)
		fetchesWhatScanYields(t, snap)
	}
}

// fetchesWhatScanYields checks that every row of a scan comes again by its reference, backwards and twice.
func fetchesWhatScanYields(t *testing.T, snap store.Snapshot) {
	t.Helper()
	var refs []store.RowRef
	var want []string
	for batch, err := range snap.Scan(t.Context(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(batch.NumRows()) {
			if n := len(refs); n > 0 && batch.Ref(i) <= refs[n-1] {
				t.Errorf("row reference %x after %x", batch.Ref(i), refs[n-1])
			}
			refs, want = append(refs, batch.Ref(i)), append(want, rowText(t, batch.RecordBatch, i))
		}
	}
	slices.Reverse(refs)
	slices.Reverse(want)
	refs, want = append(refs, refs...), append(want, want...)
	rec, err := snap.Fetch(t.Context(), refs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if got := rowText(t, rec, i); got != want[i] {
			t.Errorf("row %x fetched is %s, want %s", refs[i], got, want[i])
		}
	}
}

func eachColumnAlone(t *testing.T, snap store.Snapshot) {
	t.Helper()
	all := scanned(t, snap, store.Query{})
	for i, f := range snap.Schema().Fields() {
		got := scanned(t, snap, store.Query{Columns: []string{f.Name}})
		var want []string
		for batch, err := range snap.Scan(t.Context(), store.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			for row := range int(batch.NumRows()) {
				want = append(want, text(t, []any{plain(batch.Column(i), row)}))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("column %s alone is %q, want %q", f.Name, got, want)
		}
	}
	if got := scanned(t, snap, store.Query{Columns: []string{}}); len(got) != len(all) {
		t.Errorf("a scan without columns has %d rows, want %d", len(got), len(all))
	}
}

func TestPartitionConditions(t *testing.T) {
	t.Parallel()
	snap := snapshot(t, openStore(t, "testdata/tables", s3parquet.Options{}), "partitioned")
	for value, want := range map[string]string{"plain": `["0"]`, "a/b c%d": `["1"]`, "ü=?#&:": `["2"]`, `q"'\`: `["5"]`} {
		q := store.Query{Columns: []string{"id"}, Where: []store.Equal{{Column: "text", Value: value}}}
		if got := scanned(t, snap, q); !slices.Equal(got, []string{want}) {
			t.Errorf("text = %q yields %q, want %s", value, got, want)
		}
	}
	for _, where := range [][]store.Equal{
		{{Column: "text", Value: ""}}, {{Column: "text", Value: "plain"}, {Column: "id", Value: "1"}},
	} {
		if got := scanned(t, snap, store.Query{Where: where}); len(got) != 0 {
			t.Errorf("%v yields %q, want nothing", where, got)
		}
	}
}

func TestCommitOrderDecides(t *testing.T) {
	t.Parallel()
	s := openStore(t, "testdata/tables", s3parquet.Options{})
	for _, name := range []feature.Key{"commits", "checkpoint", "only_checkpoint"} {
		rows := scanned(t, snapshot(t, s, name), store.Query{Columns: []string{"n"}})
		if !slices.IsSorted(rows) {
			t.Errorf("%s: rows come as %s, want those of earlier commits first", name, strings.Join(rows, " "))
		}
	}
}
