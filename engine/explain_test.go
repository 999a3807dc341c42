package engine

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

func (s *scene) explain(key feature.Key, id string) Explanation {
	s.t.Helper()
	out, err := Explain(context.Background(), s.store, s.feature(key), []map[string]string{{"id": id}}, Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return out[0]
}

func TestExplainVerdicts(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("t", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b"}))
	all := []string{"same p q", "gone p q", "null p q", "changed p q"}
	s.root("a", all...)
	s.root("b", all...)
	s.run("t")
	s.root("a", "null p -", "changed p2 q", "fresh p q", "half p q")
	s.root("b", "fresh p q")
	s.delete("b", "gone")
	tests := []struct {
		id      string
		verdict Verdict
		reason  string
	}{
		{"same", VerdictUpToDate, "expected"},
		{"changed", VerdictStale, `field "x": a.x was "p" and is "p2" now`},
		{"fresh", VerdictNew, "no row of it is stored"},
		{"gone", VerdictOrphaned, `parent "b" has deleted its sample`},
		{"null", VerdictUnresolvable, `a.y has no version`},
		{"half", VerdictUnknown, `parent "b" has no sample`},
		{"'; \n\x00é", VerdictUnknown, `parent "a" has no sample`},
	}
	for _, test := range tests {
		e := s.explain("t", test.id)
		if e.Verdict != test.verdict {
			t.Errorf("%q is %s, want %s (%q)", test.id, e.Verdict, test.verdict, e.Reasons)
		}
		if !strings.Contains(strings.Join(e.Reasons, "; "), test.reason) {
			t.Errorf("%q: reasons %q, want one with %q", test.id, e.Reasons, test.reason)
		}
		if e.ID["id"] != test.id {
			t.Errorf("%q: the id is %q", test.id, e.ID)
		}
	}
}

// The rows of the parents that are no longer current tell what a stale sample was computed from.
func TestExplainFindsOldVersions(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("t", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b"}))
	s.root("a", "1 a0 y")
	s.root("a", "1 a1 y")
	s.root("b", "1 b1 y")
	s.run("t")
	s.root("a", "1 a2 y")
	s.root("a", "1 a3 y")
	s.root("b", "1 b2 y")
	e := s.explain("t", "1")
	if e.Verdict != VerdictStale || e.Stored == "" || e.Expected == "" || e.Stored == e.Expected {
		t.Fatalf("verdict %s, stored %q, expected %q", e.Verdict, e.Stored, e.Expected)
	}
	x, y := e.Fields[0], e.Fields[1]
	if !x.Changed || y.Changed || x.Stored == x.Expected || y.Stored != y.Expected {
		t.Errorf("fields %+v, want x to have changed and y not", e.Fields)
	}
	want := []InputExplanation{
		{Ref: feature.FieldRef{Feature: "a", Field: "x"}, Now: "a3", Then: "a1", Known: true, Changed: true},
		{Ref: feature.FieldRef{Feature: "b", Field: "x"}, Now: "b2", Then: "b1", Known: true, Changed: true},
	}
	for i, in := range x.Inputs {
		if in != want[i] {
			t.Errorf("input %d = %+v, want %+v", i, in, want[i])
		}
	}
	for _, in := range y.Inputs {
		if in.Changed || !in.Known || in.Then != "y" {
			t.Errorf("input of the unchanged field = %+v", in)
		}
	}
}

func TestExplainWithoutOldRows(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	s.root("a", "1 p q")
	s.write("t", s.rows("id:string "+sceneVersions, `{"id":"1","metaxy_provenance_by_field":{"x":"lost","y":"lost"}}`))
	e := s.explain("t", "1")
	if e.Verdict != VerdictStale || e.Fields[0].Inputs[0].Known || !strings.Contains(e.Reasons[0], "are gone") {
		t.Errorf("%+v, want a stale sample whose origin is unknown", e)
	}
}

func TestExplainCodeVersion(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	s.root("a", "1 p q")
	s.run("t")
	old := s.feature("t").Version()
	changed := xy("t", feature.Dep{Feature: "a"})
	changed.Fields[0].CodeVersion = "2"
	s.graph = feature.MustGraph(xy("a"), changed)
	e := s.explain("t", "1")
	if e.Verdict != VerdictNew || e.StoredFeatureVersion != old || e.FeatureVersion == old || !strings.Contains(e.Reasons[0], old) {
		t.Errorf("%+v, want a new sample that is stored under %s", e, old)
	}
	x, reason := e.Fields[0], `field "x": its code version, which is "2" now`
	if !x.Changed || x.Stored == "" || x.Inputs[0].Known || !strings.Contains(e.Reasons[1], reason) {
		t.Errorf("%+v, want field x to have changed because of its code version", e)
	}
	if y := e.Fields[1]; y.Changed || y.Stored != y.Expected || len(e.Reasons) != 2 {
		t.Errorf("%+v, want field y to be the same", e)
	}
	s.root("a", "1 p q2")
	if e = s.explain("t", "1"); len(e.Reasons) != 3 || !strings.Contains(e.Reasons[2], `field "y": a.y was "q" and is "q2" now`) {
		t.Errorf("%q, want the changed parent field to be named too", e.Reasons)
	}
	s.run("t")
	if e = s.explain("t", "1"); e.Verdict != VerdictUpToDate || e.Stored != e.Expected {
		t.Errorf("%+v, want it up to date after a run", e)
	}
}

func TestExplainRefusesIDs(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("t", feature.Dep{Feature: "a"}))
	s.write("a", s.rows("id:int64 "+sceneVersions, `{"id":1,"metaxy_provenance_by_field":{"x":"1","y":"2"}}`))
	for _, id := range []map[string]string{{}, {"id": "x"}, {"id": ""}, {"ID": "1"}, {"id": "1", "more": "2"}} {
		_, err := Explain(context.Background(), s.store, s.feature("t"), []map[string]string{id}, Options{})
		if !errors.Is(err, ErrPlan) {
			t.Errorf("explain %v: error %v, want ErrPlan", id, err)
		}
	}
	if e := s.explain("t", "1"); e.Verdict != VerdictNew {
		t.Errorf("verdict %s, want new", e.Verdict)
	}
}

// What Explain says of each sample is what Resolve does with it.
func TestExplainAgreesWithResolve(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("t", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b", Optional: true}))
	s.root("a", "1 p q", "2 p q", "3 p q", "4 p q", "5 p q")
	s.root("b", "1 p q", "2 p q")
	s.run("t")
	s.root("a", "1 p2 q", "6 p q", "5 - q")
	s.root("b", "3 p q")
	s.delete("a", "4")
	s.delete("b", "2")
	verdicts := map[Status]Verdict{New: VerdictNew, Stale: VerdictStale, Orphaned: VerdictOrphaned}
	inc := s.resolve("t")
	for status, want := range verdicts {
		if inc.Count(status) == 0 {
			t.Errorf("there is no %s sample to explain", status)
		}
		for _, id := range strings.Fields(s.ids(inc, status)) {
			if e := s.explain("t", id); e.Verdict != want {
				t.Errorf("%s is %s, want %s", id, e.Verdict, want)
			}
		}
	}
	for _, e := range []Explanation{s.explain("t", "2"), s.explain("t", "3")} {
		if e.Verdict != VerdictStale || len(e.Fields[0].Inputs) != 2 || !e.Fields[0].Inputs[1].Changed {
			t.Errorf("%+v, want it stale because of the optional parent", e)
		}
	}
}
