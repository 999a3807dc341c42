package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func appendIDs(t *testing.T, s store.Store, key feature.Key, ids ...int64) {
	t.Helper()
	b := array.NewInt64Builder(memory.DefaultAllocator)
	b.AppendValues(ids, nil)
	schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)
	rec := array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, int64(len(ids)))
	rows := func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
	if _, err := s.Append(context.Background(), key, store.Write{Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

func rowsOf(t *testing.T, r store.Reader, key feature.Key) int64 {
	t.Helper()
	snap, err := r.Snapshot(context.Background(), key)
	if errors.Is(err, store.ErrNoTable) {
		return -1
	}
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for b, err := range snap.Scan(context.Background(), store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n += b.NumRows()
	}
	return n
}

// brokenReader has tables that cannot be read.
type brokenReader struct{}

func (brokenReader) Snapshot(context.Context, feature.Key) (store.Snapshot, error) {
	return nil, store.ErrCorrupt
}

func TestFallback(t *testing.T) {
	t.Parallel()
	primary, first, second := store.NewMemory(), store.NewMemory(), store.NewMemory()
	appendIDs(t, primary, "a", 1)
	appendIDs(t, first, "a", 1, 2)
	appendIDs(t, first, "b", 1, 2)
	appendIDs(t, second, "b", 1, 2, 3)
	appendIDs(t, second, "c", 1, 2, 3)
	s := store.WithFallback(primary, first, second)
	for key, want := range map[feature.Key]int64{"a": 1, "b": 2, "c": 3, "d": -1} {
		if got := rowsOf(t, s, key); got != want {
			t.Errorf("%d rows of %s, want %d", got, key, want)
		}
	}
	for key, want := range map[feature.Key]int64{"a": 1, "b": -1} {
		if got := rowsOf(t, store.Local(store.WithFallback(s)), key); got != want {
			t.Errorf("%d rows of %s in the primary store, want %d", got, key, want)
		}
	}
	if store.Local(first) != store.Reader(first) {
		t.Error("a store without fallbacks is not its own local reader")
	}
	appendIDs(t, s, "b", 9)
	if p, f := rowsOf(t, primary, "b"), rowsOf(t, first, "b"); p != 1 || f != 2 || rowsOf(t, s, "b") != 1 {
		t.Errorf("%d rows in the primary store and %d in the fallback after a write; want 1 and 2", p, f)
	}
}

// A fallback that cannot be read is an error, not a missing table: the next one may have other rows.
func TestFallbackFails(t *testing.T) {
	t.Parallel()
	s := store.WithFallback(store.NewMemory(), brokenReader{}, store.NewMemory())
	if _, err := s.Snapshot(context.Background(), "a"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("error %v, want that of the fallback", err)
	}
}
