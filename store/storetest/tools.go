package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var (
	text         = arrow.BinaryTypes.String
	int64Type    = arrow.PrimitiveTypes.Int64
	timestampUTC = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	timestampNTZ = &arrow.TimestampType{Unit: arrow.Microsecond}
)

// schema makes a schema of pairs of name and type.
func schema(pairs ...any) *arrow.Schema {
	return arrow.NewSchema(fields(pairs...), nil)
}

func fields(pairs ...any) []arrow.Field {
	var out []arrow.Field
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, arrow.Field{Name: pairs[i].(string), Type: pairs[i+1].(arrow.DataType), Nullable: true})
	}
	return out
}

// row is the values of a row, in a form that JSON has.
type row = map[string]any

// batch makes a batch from rows; what a row lacks is null.
func batch(t testing.TB, s *arrow.Schema, rows ...row) arrow.RecordBatch {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, s)
	for _, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.UnmarshalJSON(line); err != nil {
			t.Fatalf("row %s: %v", line, err)
		}
	}
	return b.NewRecordBatch()
}

// seq yields batches.
func seq(batches ...arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, b := range batches {
			if !yield(b, nil) {
				return
			}
		}
	}
}

// ids makes rows with only an id.
func ids(names ...string) []row {
	var rows []row
	for _, n := range names {
		rows = append(rows, row{"id": n})
	}
	return rows
}

func appendRows(t testing.TB, s store.Store, sc *arrow.Schema, rows ...row) store.Commit {
	t.Helper()
	c, err := s.Append(t.Context(), key, store.Write{Rows: seq(batch(t, sc, rows...))})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return c
}

func snapshot(t testing.TB, s store.Store) store.Snapshot {
	t.Helper()
	return snapshotOf(t, s, key)
}

func snapshotOf(t testing.TB, s store.Store, k feature.Key) store.Snapshot {
	t.Helper()
	snap, err := s.Snapshot(t.Context(), k)
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	return snap
}

// scan returns the batches of a scan, and checks what holds for every scan.
func scan(t testing.TB, snap store.Snapshot, q store.Query) []store.Batch {
	t.Helper()
	want, err := q.Project(snap.Schema())
	if err != nil {
		t.Fatal(err)
	}
	var out []store.Batch
	last := int64(-1)
	for b, err := range snap.Scan(t.Context(), q) {
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		if !sameColumns(b.Schema(), want) {
			t.Fatalf("scan yields columns %v, want %v", b.Schema(), want)
		}
		if b.NumRows() == 0 {
			t.Error("scan yields a batch without rows")
		}
		for i := range int(b.NumRows()) {
			ref := b.Ref(i)
			if int64(ref) <= last {
				t.Fatalf("row %d of file %d comes after row %d of file %d", ref.Row(), ref.File(),
					store.RowRef(last).Row(), store.RowRef(last).File())
			}
			last = int64(ref)
		}
		out = append(out, b)
	}
	return out
}

func sameColumns(a, b *arrow.Schema) bool {
	return slices.EqualFunc(a.Fields(), b.Fields(), func(x, y arrow.Field) bool {
		return x.Name == y.Name && arrow.TypeEqual(x.Type, y.Type)
	})
}

// rowsOf returns the rows of batches as JSON values.
func rowsOf(t testing.TB, batches []store.Batch) []row {
	t.Helper()
	var out []row
	for _, b := range batches {
		out = append(out, rowsOfRecord(t, b.RecordBatch)...)
	}
	return out
}

func rowsOfRecord(t testing.TB, rec arrow.RecordBatch) []row {
	t.Helper()
	out := make([]row, rec.NumRows())
	for i := range out {
		out[i] = row{}
		for c := range int(rec.NumCols()) {
			out[i][rec.ColumnName(c)] = plain(t, rec.Column(c).GetOneForMarshal(i))
		}
	}
	return out
}

// plain brings a value to what JSON makes of it, numbers exactly.
func plain(t testing.TB, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// sameRows compares rows; want may have any values that JSON can say, and may leave out nulls.
func sameRows(t testing.TB, got []row, want ...row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		w := plain(t, want[i]).(row)
		for name := range got[i] {
			if _, ok := w[name]; !ok {
				w[name] = nil
			}
		}
		if !reflect.DeepEqual(map[string]any(got[i]), map[string]any(w)) {
			t.Errorf("row %d is %v, want %v", i, got[i], w)
		}
	}
}

// column returns one column of rows as text.
func column(rows []row, name string) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = fmt.Sprint(r[name])
	}
	return out
}

func sameStrings(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// refs returns the references to the rows of batches.
func refs(batches []store.Batch) []store.RowRef {
	var out []store.RowRef
	for _, b := range batches {
		for i := range int(b.NumRows()) {
			out = append(out, b.Ref(i))
		}
	}
	return out
}
