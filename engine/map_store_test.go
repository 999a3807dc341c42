package engine_test

import (
	"maps"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// TestMapStoreOfMetaxy resolves over tables that real Metaxy 0.1.11 has written in its map mode (enable_map_datatype, with
// Polars 1.44 and polars-map 0.3), where the versions by field are maps, and comes to the increment that it came to: three
// samples, computed once, of which one has changed since and one is new.
func TestMapStoreOfMetaxy(t *testing.T) {
	t.Parallel()
	st, err := s3parquet.Open(t.Context(), "../testdata/map_sample", s3parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := feature.NewGraph([]feature.Definition{
		{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "audio"}, {Key: "frames"}}}},
		{Spec: feature.Spec{Key: "video/crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video"}},
			Fields: []feature.Field{{Key: "audio"}, {Key: "frames", CodeVersion: "2"}}}},
	}, feature.Options{Project: "films"})
	if err != nil {
		t.Fatal(err)
	}
	crop, err := g.Lookup("video/crop")
	if err != nil {
		t.Fatal(err)
	}
	hashing, ok, err := detected(t, st, crop)
	if err != nil || !ok || hashing.Algorithm != "xxhash64" {
		t.Errorf("the hashing of the rows was not found: %v, %t, %v", hashing, ok, err)
	}
	inc, err := engine.Resolve(t.Context(), st, crop, engine.Options{Hashing: engine.Hashing{Algorithm: "xxhash64"}})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[engine.Status]map[string]string{
		engine.New: {"4": "990683705868782763"}, engine.Stale: {"2": "11772443611770919150"}, engine.Orphaned: {},
	} {
		got := map[string]string{}
		for rec, err := range inc.Batches(t.Context(), status, []string{"id", feature.ColProvenance}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range int(rec.NumRows()) {
				got[rec.Column(0).ValueStr(i)] = rec.Column(1).ValueStr(i)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s samples are %v, want %v", status, got, want)
		}
	}
}

func detected(t *testing.T, st *s3parquet.Store, f *feature.Feature) (engine.Hashing, bool, error) {
	t.Helper()
	snap, err := st.Snapshot(t.Context(), f.Key())
	if err != nil {
		return engine.Hashing{}, false, err
	}
	return engine.DetectHashing(t.Context(), snap, f)
}
