package feature

import (
	"errors"
	"testing"
)

func TestProject(t *testing.T) {
	t.Parallel()
	own := func(key Key, project string) Definition { return Definition{Spec: childOf(key), Project: project} }
	external := Definition{Spec: childOf("e"), Project: "other", External: true}
	for _, c := range []struct {
		name    string
		defs    []Definition
		options Options
		want    string
		is      error
	}{
		{"the only one", []Definition{own("a", "p"), own("b", "p"), external}, Options{}, "p", nil},
		{"the option", []Definition{own("a", "p"), own("b", "q")}, Options{Project: "q"}, "q", nil},
		{"filled in", []Definition{own("a", ""), own("b", "q")}, Options{Project: "q"}, "q", nil},
		{"unnamed", []Definition{own("a", "")}, Options{}, "", nil},
		{"several", []Definition{own("a", "p"), own("b", "q")}, Options{}, "", ErrProject},
		{"only external", []Definition{external}, Options{}, "", ErrProject},
		{"none", nil, Options{}, "", ErrProject},
	} {
		g, err := NewGraph(c.defs, c.options)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.Project(); got != c.want || !errors.Is(err, c.is) {
			t.Errorf("%s: got %q, %v; want %q, %v", c.name, got, err, c.want, c.is)
		}
	}
}

// TestProjectOfDefinition checks that the option names the project of those definitions only that name none.
func TestProjectOfDefinition(t *testing.T) {
	t.Parallel()
	g, err := NewGraph([]Definition{{Spec: childOf("a")}, {Spec: childOf("b"), Project: "q"}}, Options{Project: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for f := range g.All() {
		if want := map[Key]string{"a": "p", "b": "q"}[f.Key()]; f.Project() != want {
			t.Errorf("%s: got project %q, want %q", f.Key(), f.Project(), want)
		}
	}
	if p, q, none := g.ProjectVersion("p"), g.ProjectVersion("q"), g.ProjectVersion("r"); p == q || none != "empty" {
		t.Errorf(`got the versions %s, %s and %s, want two that differ and "empty"`, p, q, none)
	}
}

// TestOwnBeforeExternal checks that the project's own declaration replaces an external one, whichever comes first.
func TestOwnBeforeExternal(t *testing.T) {
	t.Parallel()
	own := Definition{Spec: childOf("a"), Project: "p"}
	external := Definition{Spec: childOf("a"), Project: "q", External: true, FieldVersions: map[Key]string{"x": "given"}}
	for _, defs := range [][]Definition{{own, external}, {external, own}, {external, own, external}} {
		g, err := NewGraph(defs, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := g.Lookup("a"); err != nil || f.External() || f.FieldVersion("x") == "given" {
			t.Errorf("got %+v, %v; want the project's own feature", f, err)
		}
	}
	if _, err := NewGraph([]Definition{external, external}, Options{}); !errors.Is(err, ErrSpec) {
		t.Errorf("two external ones: got %v, want ErrSpec", err)
	}
}

// TestExternalWithoutParents checks that a feature whose versions are all given needs no parents in the graph.
func TestExternalWithoutParents(t *testing.T) {
	t.Parallel()
	external := Definition{
		Spec: childOf("e", "elsewhere"), Project: "q", External: true, FieldVersions: map[Key]string{"x": "given"},
	}
	g, err := NewGraph([]Definition{external, {Spec: childOf("t", "e")}}, Options{TruncationLength: 8})
	if err != nil {
		t.Fatal(err)
	}
	e, err := g.Lookup("e")
	if err != nil {
		t.Fatal(err)
	}
	if e.FieldVersion("x") != "given" || len(e.Version()) != 8 || len(e.Parents()) != 0 || e.Root() {
		t.Errorf("got the versions %s, %s; want the one that was given and one of 8 characters", e.FieldVersion("x"),
			e.Version())
	}
	external.FieldVersions = map[Key]string{"y": "given"}
	if _, err := NewGraph([]Definition{external}, Options{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("without a version of x: got %v, want ErrUnknown", err)
	}
}
