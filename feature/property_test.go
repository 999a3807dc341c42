package feature

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// randomSpecs returns the specs of a graph without problems, parents before children.
func randomSpecs(r *rand.Rand) []Spec {
	var specs []Spec
	for i := range 2 + r.IntN(12) {
		s := Spec{Key: Key(fmt.Sprintf("f%d", i)), IDColumns: ids()}
		for j := range 1 + r.IntN(4) {
			s.Fields = append(s.Fields, Field{Key: Key(fmt.Sprintf("x%d", (i+j)%6)), CodeVersion: "1"})
		}
		for _, p := range r.Perm(i)[:min(i, r.IntN(4))] {
			s.Deps = append(s.Deps, Dep{Feature: specs[p].Key, Optional: r.IntN(2) == 0})
			if r.IntN(3) == 0 {
				listed := specs[p].Fields[r.IntN(len(specs[p].Fields))].Key
				s.Fields[0].Deps.On = append(s.Fields[0].Deps.On, FieldDep{specs[p].Key, []Key{listed}})
			}
		}
		specs = append(specs, s)
	}
	return specs
}

// versions returns every version of a graph by name.
func versions(g *Graph) map[string]string {
	all := map[string]string{"project": g.ProjectVersion("")}
	for f := range g.All() {
		all[string(f.Key())] = f.Version()
		all[string(f.Key())+" definition"] = f.DefinitionVersion()
		for _, field := range f.Spec().Fields {
			all[FieldRef{f.Key(), field.Key}.String()] = f.FieldVersion(field.Key)
		}
	}
	return all
}

func TestOrderOfSpecsDoesNotMatter(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		specs := randomSpecs(r)
		want := MustGraph(specs...)
		r.Shuffle(len(specs), func(i, j int) { specs[i], specs[j] = specs[j], specs[i] })
		got := MustGraph(specs...)
		if g, w := fmt.Sprint(versions(got)), fmt.Sprint(versions(want)); g != w {
			t.Fatalf("seed %d: got %s, want %s", seed, g, w)
		}
		if g, w := orderOf(got), orderOf(want); !slices.Equal(g, w) {
			t.Fatalf("seed %d: got the order %q, want %q", seed, g, w)
		}
	}
}

func TestParentsComeFirst(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		seen := map[Key]bool{}
		for f := range MustGraph(randomSpecs(rand.New(rand.NewPCG(seed, 2)))...).All() {
			for _, p := range f.Parents() {
				if !seen[p.Feature.Key()] {
					t.Fatalf("seed %d: %s comes before its parent %s", seed, f.Key(), p.Feature.Key())
				}
			}
			seen[f.Key()] = true
		}
	}
}

// TestChangeReachesDownstreamOnly gives one field a new code version. The versions that change must be those of the
// field and of everything that is computed from it, found here by following Inputs.
func TestChangeReachesDownstreamOnly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		specs := randomSpecs(r)
		before := MustGraph(specs...)
		s := &specs[r.IntN(len(specs))]
		field := r.IntN(len(s.Fields))
		s.Fields[field].CodeVersion = "2"
		after := MustGraph(specs...)

		reached := map[FieldRef]bool{{s.Key, s.Fields[field].Key}: true}
		for f := range after.All() {
			old, err := before.Lookup(f.Key())
			if err != nil {
				t.Fatal(err)
			}
			touched := false
			for _, x := range f.Spec().Fields {
				ref := FieldRef{f.Key(), x.Key}
				for _, in := range f.Inputs(x.Key) {
					reached[ref] = reached[ref] || reached[in]
				}
				if changed := old.FieldVersion(x.Key) != f.FieldVersion(x.Key); changed != reached[ref] {
					t.Fatalf("seed %d: %s changed: %t, want %t", seed, ref, changed, reached[ref])
				}
				touched = touched || reached[ref]
			}
			if changed := old.Version() != f.Version(); changed != touched {
				t.Fatalf("seed %d: %s changed: %t, want %t", seed, f.Key(), changed, touched)
			}
			if changed := old.CodeVersion() != f.CodeVersion(); changed != (f.Key() == s.Key) {
				t.Fatalf("seed %d: the code version of %s changed: %t", seed, f.Key(), changed)
			}
		}
	}
}

// TestWith checks that a graph under other options is the graph that the definitions give under them.
func TestWith(t *testing.T) {
	t.Parallel()
	specs := randomSpecs(rand.New(rand.NewPCG(9, 4)))
	for _, n := range []int{0, 8, 9, 63, 64, 1000} {
		o := Options{Project: "p", TruncationLength: n}
		var defs []Definition
		for _, s := range specs {
			defs = append(defs, Definition{Spec: s})
		}
		want, err := NewGraph(defs, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := MustGraph(specs...).With(o)
		if err != nil {
			t.Fatal(err)
		}
		if g, w := fmt.Sprint(versions(got)), fmt.Sprint(versions(want)); g != w || got.Options() != o {
			t.Errorf("length %d: got %s, want %s", n, g, w)
		}
		for f := range got.All() {
			if want := min(64, max(n, 64*(1-min(n, 1)))); len(f.Version()) != want || f.Project() != "p" {
				t.Errorf("length %d: got the version %s of project %q", n, f.Version(), f.Project())
			}
		}
	}
	if _, err := MustGraph(specs...).With(Options{TruncationLength: 3}); err == nil {
		t.Error("length 3: got no error")
	}
}
