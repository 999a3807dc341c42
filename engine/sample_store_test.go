package engine

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// A sampleStore is what real Metaxy makes of the store in testdata/store_sample, which it has written.
type sampleStore struct {
	Config struct {
		Project              string
		HashAlgorithm        Hash `json:"hash_algorithm"`
		HashTruncationLength int  `json:"hash_truncation_length"`
	}
	Graph map[feature.Key]struct {
		Spec              feature.Spec
		Schema            json.RawMessage
		FeatureVersion    string `json:"feature_version"`
		DefinitionVersion string `json:"definition_version"`
	}
	ProjectVersionNow string `json:"project_version_now"`
	Features          map[feature.Key]struct {
		Samples       *testFrame
		ResolveUpdate struct{ New, Stale, Orphaned *testFrame } `json:"resolve_update"`
		Read          *testFrame
	}
}

// TestSampleStore reads and resolves every feature of a store that Metaxy has written: graph, rows and increments are
// exactly those that Metaxy has of them.
func TestSampleStore(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../testdata/store_sample.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want sampleStore
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	var defs []feature.Definition
	for _, f := range want.Graph {
		defs = append(defs, feature.Definition{Spec: f.Spec, Schema: f.Schema, Project: want.Config.Project})
	}
	g, err := feature.NewGraph(defs, feature.Options{
		Project: want.Config.Project, TruncationLength: want.Config.HashTruncationLength,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := g.ProjectVersion(want.Config.Project); got != want.ProjectVersionNow {
		t.Errorf("project version %s, want %s", got, want.ProjectVersionNow)
	}
	if len(want.Features) != 3 {
		t.Fatalf("%d features, want 3", len(want.Features))
	}
	for key := range want.Features {
		t.Run(string(key), func(t *testing.T) { want.check(t, g, key) })
	}
}

func (w *sampleStore) check(t *testing.T, g *feature.Graph, key feature.Key) {
	f, err := g.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	if f.Version() != w.Graph[key].FeatureVersion || f.DefinitionVersion() != w.Graph[key].DefinitionVersion {
		t.Errorf("versions %s and %s, want %s and %s", f.Version(), f.DefinitionVersion(),
			w.Graph[key].FeatureVersion, w.Graph[key].DefinitionVersion)
	}
	ctx := context.Background()
	s, err := s3parquet.Open(ctx, "../testdata/store_sample", s3parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	snap, err := s.Snapshot(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := ReadSchema(snap, f, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	checkFrame(t, "the table read", schema, collect(t, Read(ctx, snap, f, ReadOptions{})), w.Features[key].Read.record(t))

	o := Options{Hashing: Hashing{Algorithm: w.Config.HashAlgorithm, TruncationLength: w.Config.HashTruncationLength}}
	if samples := w.Features[key].Samples; samples != nil {
		o.Samples = batches(samples.record(t))
	}
	inc, err := Resolve(ctx, s, f, o)
	if err != nil {
		t.Fatal(err)
	}
	of := w.Features[key].ResolveUpdate
	for status, frame := range map[Status]*testFrame{New: of.New, Stale: of.Stale, Orphaned: of.Orphaned} {
		checkFrame(t, status.String(), inc.Schema(status), collect(t, inc.Batches(ctx, status, nil, 2)), frame.record(t))
	}
}
