package feature

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
)

// A graphCase is what real Metaxy computed for one graph at several truncation lengths.
type graphCase struct {
	Name     string
	Project  string
	Features []graphCaseFeature
	Expected map[string]graphCaseVersions
}

type graphCaseFeature struct {
	Spec              Spec
	Schema            json.RawMessage
	Project           string
	External          bool
	ProvenanceByField map[Key]string `json:"provenance_by_field"`
}

type graphCaseVersions struct {
	Features         map[Key]graphCaseFeatureVersions
	ProjectVersion   string `json:"project_version"`
	TopologicalOrder []Key  `json:"topological_order"`
}

type graphCaseFeatureVersions struct {
	TableName            string           `json:"table_name"`
	FieldVersions        map[Key]string   `json:"field_versions"`
	FeatureVersion       string           `json:"feature_version"`
	ResolvedParentFields map[Key][]string `json:"resolved_parent_fields"`
	CodeVersion          string           `json:"code_version"`
	FeatureSpecVersion   string           `json:"feature_spec_version"`
	DefinitionVersion    string           `json:"definition_version"`
	Error                *struct{ Type string }
}

func readCase(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("read %s: %v", filepath.Base(file), err)
	}
}

func (c graphCase) definitions() []Definition {
	var defs []Definition
	for _, f := range c.Features {
		defs = append(defs, Definition{
			Spec: f.Spec, Schema: f.Schema, Project: f.Project, External: f.External, FieldVersions: f.ProvenanceByField,
		})
	}
	return defs
}

// TestVectorsGraph compares every version hash with real Metaxy's. It looks at the graph as it is assembled before
// problems are reported, because Metaxy computes what it can of a graph in which something is broken.
func TestVectorsGraph(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "graph") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var c graphCase
			readCase(t, file, &c)
			if len(c.Expected) == 0 {
				t.Fatal("the case expects nothing")
			}
			for length, want := range c.Expected {
				n, err := strconv.Atoi(length)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(length, func(t *testing.T) { c.check(t, Options{TruncationLength: n}, want) })
			}
		})
	}
}

func (c graphCase) check(t *testing.T, o Options, want graphCaseVersions) {
	g, problems := assemble(c.definitions(), o)
	if got := g.ProjectVersion(c.Project); got != want.ProjectVersion {
		t.Errorf("project version of %s: got %s, want %s", c.Project, got, want.ProjectVersion)
	}
	if got := orderOf(g); !slices.Equal(got, want.TopologicalOrder) {
		t.Errorf("order: got %q, want %q", got, want.TopologicalOrder)
	}
	broken := map[Key]bool{}
	for key, w := range want.Features {
		f, err := g.Lookup(key)
		if err != nil {
			t.Fatal(err)
		}
		checkFeature(t, f, w)
		broken[key] = w.Error != nil && !f.overridden()
	}
	checkProblems(t, g, problems, broken)
	c.checkNewGraph(t, o, g, problems)
}

func orderOf(g *Graph) []Key {
	var keys []Key
	for f := range g.All() {
		keys = append(keys, f.Key())
	}
	return keys
}

func checkFeature(t *testing.T, f *Feature, want graphCaseFeatureVersions) {
	t.Helper()
	for _, v := range []struct{ what, got, want string }{
		{"table", f.Key().Table(), want.TableName},
		{"code version", f.CodeVersion(), want.CodeVersion},
		{"spec version", f.SpecVersion(), want.FeatureSpecVersion},
		{"definition version", f.DefinitionVersion(), want.DefinitionVersion},
	} {
		if v.got != v.want {
			t.Errorf("%s, %s: got %s, want %s", f.Key(), v.what, v.got, v.want)
		}
	}
	if want.Error != nil {
		if f.overridden() {
			t.Logf("%s: Metaxy fails with %s, we need no parents of a feature whose versions are all given",
				f.Key(), want.Error.Type)
		} else if f.Version() != "" {
			t.Errorf("%s: got version %s, want none because of %s", f.Key(), f.Version(), want.Error.Type)
		}
		return
	}
	if f.Version() != want.FeatureVersion {
		t.Errorf("%s, version: got %s, want %s", f.Key(), f.Version(), want.FeatureVersion)
	}
	if !maps.Equal(f.versions, want.FieldVersions) {
		t.Errorf("%s, fields: got %v, want %v", f.Key(), f.versions, want.FieldVersions)
	}
	for field, refs := range want.ResolvedParentFields {
		if got := refNames(f.Inputs(field)); !slices.Equal(got, refs) {
			t.Errorf("%s.%s, inputs: got %q, want %q", f.Key(), field, got, refs)
		}
	}
}

func refNames(refs []FieldRef) []string {
	names := []string{}
	for _, r := range refs {
		names = append(names, r.String())
	}
	return names
}

// checkProblems checks that a feature without a version is named by a problem or has an ancestor that is, and that
// problems name only such features, apart from collisions, which Metaxy does not notice.
func checkProblems(t *testing.T, g *Graph, problems []*FeatureError, broken map[Key]bool) {
	t.Helper()
	named := map[Key]bool{}
	for _, p := range problems {
		if !broken[p.Feature] && !errors.Is(p, errCollision) {
			t.Errorf("got the problem %v, want none of this feature", p)
		}
		named[p.Feature] = true
	}
	for f := range g.All() {
		for _, p := range f.parents {
			named[f.Key()] = named[f.Key()] || named[p.Feature.Key()]
		}
		if broken[f.Key()] && !named[f.Key()] {
			t.Errorf("%s: got no problem, want one of it or of an ancestor", f.Key())
		}
	}
}

// checkNewGraph checks that the graph that users get is the one that was checked, or is refused by name.
func (c graphCase) checkNewGraph(t *testing.T, o Options, want *Graph, problems []*FeatureError) {
	t.Helper()
	got, err := NewGraph(c.definitions(), o)
	if len(problems) == 0 {
		if err != nil {
			t.Fatalf("NewGraph: got %v, want no error", err)
		}
		for f := range got.All() {
			if w, _ := want.Lookup(f.Key()); f.Version() != w.Version() || f.DefinitionVersion() != w.DefinitionVersion() {
				t.Errorf("NewGraph, %s: got version %s, want %s", f.Key(), f.Version(), w.Version())
			}
		}
		return
	}
	var fe *FeatureError
	if !errors.As(err, &fe) {
		t.Fatalf("NewGraph: got %v, want a *FeatureError", err)
	}
	if errors.Is(err, errCollision) {
		t.Logf("NewGraph refuses what Metaxy mixes up: %v", err)
	}
}
