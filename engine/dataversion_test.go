package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// The digest of entries is that of the rows in memory, whatever is in the tables.
func TestDigestKeyedAgreesWithPlain(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for seed := range uint64(randomWorlds / 2) {
		w := newWorld(t, seed, true)
		s := w.store(false)
		for _, key := range w.keys {
			snap, err := s.Snapshot(context.Background(), key)
			if err != nil {
				t.Fatal(err)
			}
			scan := tableScan{key: key, snap: snap, version: w.feature(key).Version(), texts: []string{feature.ColDataVersion}}
			for i, id := range idColumns(w.feature(key)) {
				scan.keys, scan.ids = append(scan.keys, id), append(scan.ids, i)
			}
			got, err := scan.digestKeyed(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			plain, err := scan.load(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if want := plain.digest(); got != want {
				t.Errorf("seed %d: the digest of %s is %+v, want %+v", seed, key, got, want)
			}
			seen[got.Version] = true
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d different digests were compared", len(seen))
	}
}

// A recorded digest is the computed one, until the table or what is digested changes.
func TestRecordedDigest(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	s.root("a", "1 p q", "2 p q")
	snap := func() store.Snapshot {
		snap, err := s.store.Snapshot(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return snap
	}
	record := func(d Digest, ahead int64) {
		marks := d.Marks(s.feature("a"), snap().Version()+ahead)
		if _, err := s.store.Append(context.Background(), "a", store.Write{Marks: marks}); err != nil {
			t.Fatal(err)
		}
	}
	computed := s.digest("a")
	record(computed, 1)
	got := s.digest("a")
	if !got.recorded || got.Version != computed.Version || got.Rows != 2 || !got.LastUpdated.Equal(computed.LastUpdated) {
		t.Errorf("recorded is %+v, computed was %+v", got, computed)
	}
	other := newScene(t, xy("a"))
	spec := *s.feature("a").Spec()
	spec.Fields[0].CodeVersion = "2"
	other.graph = feature.MustGraph(spec)
	if _, ok := recordedDigest(snap(), other.feature("a")); ok {
		t.Error("the digest of rows of another feature version counts")
	}
	s.root("a", "3 p q")
	if got := s.digest("a"); got.recorded || got.Rows != 3 {
		t.Errorf("after another commit the digest is %+v", got)
	}
	record(s.digest("a"), 0)
	if s.digest("a").recorded {
		t.Error("a record of another version than its own counts")
	}
}

// What a digest says after further commits is what the rows say, for ids of every kind and width.
func TestDigestWith(t *testing.T) {
	t.Parallel()
	f := feature.MustGraph(feature.Spec{Key: "a", IDColumns: []string{"id", "n"}}).Lookup
	a, err := f("a")
	if err != nil {
		t.Fatal(err)
	}
	rows := func(id, n arrow.DataType, text string) arrow.RecordBatch {
		rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{
			{Name: "id", Type: id, Nullable: true}, {Name: "n", Type: n, Nullable: true},
			{Name: "metaxy_provenance_by_field", Type: arrow.StructOf(arrow.Field{Name: "default", Type: arrow.BinaryTypes.String, Nullable: true})},
		}, nil), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		rec, err = Seal(a, rec, Stamp{Now: time.UnixMicro(rand.Int64N(1e15))})
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	text, long, short := arrow.DataType(arrow.BinaryTypes.String), arrow.DataType(arrow.PrimitiveTypes.Int64), arrow.DataType(arrow.PrimitiveTypes.Int8)
	const version = `"metaxy_provenance_by_field": {"default": "1"}`
	commits := []arrow.RecordBatch{
		rows(text, long, `[{"id": "b", "n": 1, `+version+`}, {"id": "a", "n": -2, `+version+`}]`),
		rows(text, short, `[{"id": "b", "n": -1, `+version+`}, {"id": "", "n": 0, `+version+`}]`),
		rows(text, short, `[]`),
		rows(text, long, `[{"id": "😀", "n": 5000000000, "metaxy_provenance_by_field": {"default": "\u0000"}}]`),
	}
	s := store.NewMemory()
	known, ok := KnownDigest(nil, a)
	var schema *arrow.Schema
	for i, rec := range commits {
		if known, err = known.With(a, rec, schema); err != nil || !ok {
			t.Fatal(i, ok, err)
		}
		if _, err := s.Append(t.Context(), "a", store.Write{Rows: func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }}); err != nil {
			t.Fatal(err)
		}
		snap, err := s.Snapshot(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		read, err := DataVersion(t.Context(), snap, a)
		if err != nil || read.Version != known.Version || read.Rows != known.Rows || !read.LastUpdated.Equal(known.LastUpdated) {
			t.Errorf("commit %d: %+v is known, the rows say %+v, %v", i, known, read, err)
		}
		schema = snap.Schema()
	}
	if _, err := known.With(a, rows(long, long, `[{"id": 1, "n": 1, `+version+`}]`), schema); !errors.Is(err, ErrRows) {
		t.Errorf("ids of another kind: %v", err)
	}
	graves, err := Tombstones(a, commits[0], Stamp{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := known.With(a, graves, schema); !errors.Is(err, ErrRows) {
		t.Errorf("deletions: %v", err)
	}
}
