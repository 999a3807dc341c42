package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// explainWith explains one sample and checks the verdict and a part of the reasons.
func (s *scene) explainWith(o Options, key feature.Key, id map[string]string, verdict Verdict, reason string) {
	s.t.Helper()
	out, err := Explain(context.Background(), s.store, s.feature(key), []map[string]string{id}, o)
	if err != nil {
		s.t.Fatal(err)
	}
	if out[0].Verdict != verdict || !strings.Contains(strings.Join(out[0].Reasons, "; "), reason) {
		s.t.Errorf("%s of %v is %s, %q; want %s, %q", key, id, out[0].Verdict, out[0].Reasons, verdict, reason)
	}
}

func parts(key feature.Key) feature.Spec {
	return feature.Spec{Key: key, IDColumns: []string{"id", "n"}, Fields: []feature.Field{{Key: "x"}, {Key: "y"}}}
}

const partColumns = "id:string n:int64 " + sceneVersions

func TestExplainAggregation(t *testing.T) {
	t.Parallel()
	group := feature.Lineage{Kind: feature.ManyToOne, On: []string{"id"}}
	s := newScene(t, parts("seg"), xy("v"), xy("t", feature.Dep{Feature: "seg", Lineage: group}, feature.Dep{Feature: "v"}))
	s.write("seg", s.rows(partColumns, `{"id":"a","n":2,"metaxy_provenance_by_field":{"x":"1","y":"1"}}`,
		`{"id":"a","n":10,"metaxy_provenance_by_field":{"x":"2","y":"1"}}`,
		`{"id":"b","n":1,"metaxy_provenance_by_field":{"x":"1","y":"1"}}`))
	s.root("v", "a p q", "b p q")
	s.run("t")
	s.explainWith(Options{}, "t", map[string]string{"id": "a"}, VerdictUpToDate, "expected")
	s.root("v", "a p2 q")
	s.explainWith(Options{}, "t", map[string]string{"id": "a"}, VerdictStale, `field "x": v.x was "p" and is "p2" now`)
	s.write("seg", s.rows(partColumns, `{"id":"b","n":7,"metaxy_provenance_by_field":{"x":"1","y":"1"}}`))
	s.explainWith(Options{}, "t", map[string]string{"id": "b"}, VerdictStale, "are gone")
	s.explainWith(Options{Filters: map[feature.Key][]string{"seg": {"id != 'b'"}}}, "t", map[string]string{"id": "b"},
		VerdictOrphaned, `a filter leaves out the sample of parent "seg"`)
}

func TestExplainExpansion(t *testing.T) {
	t.Parallel()
	split := feature.Lineage{Kind: feature.OneToMany, On: []string{"id"}}
	child := parts("t")
	child.Deps = []feature.Dep{{Feature: "v", Lineage: split}}
	s := newScene(t, xy("v"), child)
	s.root("v", "a p q", "b p q")
	for _, rec := range collect(t, s.resolve("t").Batches(context.Background(), New, nil, 0)) {
		for _, part := range []string{"0", "1"} {
			s.write("t", withColumn(t, rec, "n", part))
		}
	}
	id := map[string]string{"id": "a"}
	s.explainWith(Options{}, "t", id, VerdictUpToDate, "expected")
	s.explainWith(Options{StaleIf: []string{"n = 1"}}, "t", id, VerdictStale, "predicate")
	s.explainWith(Options{TargetFilters: []string{"n > 1"}}, "t", id, VerdictNew, "a filter leaves out its stored row")
	s.root("v", "a p2 q")
	for _, rec := range collect(t, s.resolve("t").Batches(context.Background(), Stale, nil, 0)) {
		s.write("t", withColumn(t, rec, "n", "0"))
	}
	s.explainWith(Options{}, "t", id, VerdictStale, `field "x": v.x was "p" and is "p2" now`)
	s.expect("t", "stale: a")
}
