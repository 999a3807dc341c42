package engine

import (
	"context"
	"testing"

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
