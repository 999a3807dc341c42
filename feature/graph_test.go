package feature

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func ids() []string { return []string{"id"} }

// childOf is a spec with the one field x that depends on the given features.
func childOf(key Key, parents ...Key) Spec {
	s := Spec{Key: key, IDColumns: ids(), Fields: []Field{{Key: "x"}}}
	for _, p := range parents {
		s.Deps = append(s.Deps, Dep{Feature: p})
	}
	return s
}

func define(specs ...Spec) []Definition {
	var defs []Definition
	for _, s := range specs {
		defs = append(defs, Definition{Spec: s, Project: "p"})
	}
	return defs
}

func listing(key, parent Key, fields ...Key) Spec {
	s := childOf(key, parent)
	s.Fields[0].Deps.On = []FieldDep{{Feature: parent, Fields: fields}}
	return s
}

// TestNewGraphRefuses goes through broken graphs. Each error must name the feature, and the field if it is one's, and
// say what to do.
func TestNewGraphRefuses(t *testing.T) {
	t.Parallel()
	with := func(s Spec, change func(*Spec)) Spec { change(&s); return s }
	for _, c := range []struct {
		name  string
		specs []Spec
		is    error
		field Key
		want  string
	}{
		{"unknown parent", []Spec{childOf("video/raw"), childOf("t", "video/row")}, ErrUnknown, "",
			`depends on feature "video/row", which is not in the graph; did you mean "video/raw"?`},
		{"unknown last part", []Spec{childOf("video/raw"), childOf("t", "raw")}, ErrUnknown, "", `did you mean "video/raw"?`},
		{"unlike any", []Spec{childOf("video/raw"), childOf("t", "zzzzzz")}, ErrUnknown, "",
			`"zzzzzz", which is not in the graph`},
		{"unknown field", []Spec{childOf("a"), listing("t", "a", "z")}, ErrUnknown, "x",
			`field "z", which feature "a" does not have; did you mean "x"?`},
		{"not a dep", []Spec{childOf("a"), childOf("b"), with(listing("t", "a", "x"),
			func(s *Spec) { s.Fields[0].Deps.On[0].Feature = "b" })},
			ErrUnknown, "x", `"b", which is not among the feature's deps`},
		{"itself", []Spec{childOf("t", "t")}, ErrCycle, "", "t -> t; remove one"},
		{"circle", []Spec{childOf("t", "c"), childOf("c", "b"), childOf("b", "t")}, ErrCycle, "", "b -> t -> c -> b"},
		{"no mapping", []Spec{childOf("a"), with(childOf("t", "a"), func(s *Spec) { s.Deps[0].Mapping.Kind = MapNone })},
			ErrMapping, "x", "list the parent fields in the field's deps"},
		{"no fields above", []Spec{{Key: "a", IDColumns: ids(), Fields: []Field{}}, childOf("t", "a")}, ErrMapping, "x",
			"no mapping"},
		{"twice", []Spec{childOf("t"), childOf("t")}, ErrSpec, "", "declared 2 times"},
		{"no key", []Spec{childOf("")}, ErrSpec, "", "give the feature one"},
		{"bad key", []Spec{childOf("../t")}, ErrKey, "", `part ".."`},
		{"quote in key", []Spec{childOf("t'; drop")}, ErrKey, "", "may have only a-z"},
		{"system key", []Spec{childOf("metaxy-system/t")}, ErrSpec, "", "choose another first part"},
		{"table collision", []Spec{childOf("a-b"), childOf("a_b")}, ErrSpec, "",
			`shares the table name "a_b" with feature "a-b"`},
		{"member collision", []Spec{{Key: "t", IDColumns: ids(), Fields: []Field{{Key: "a/b"}, {Key: "a_b"}}}},
			ErrSpec, "a_b", `shares the member name "a_b" of by-field columns with field "a/b"`},
		{"no ids", []Spec{{Key: "t"}}, ErrSpec, "", "name at least one column"},
		{"field twice", []Spec{{Key: "t", IDColumns: ids(), Fields: []Field{{}, {Key: DefaultField}}}}, ErrSpec,
			DefaultField, "declared twice"},
		{"bad field", []Spec{{Key: "t", IDColumns: ids(), Fields: []Field{{Key: "A"}}}}, ErrKey, "A", `part "A"`},
		{"renamed away", []Spec{childOf("a"), with(childOf("t", "a"), func(s *Spec) {
			s.Deps[0].Select, s.Deps[0].Rename = []string{"old"}, map[string]string{"old": "new"}
		})}, ErrSpec, "", `columns ["old"] of feature "a"`},
		{"expansion without on", []Spec{childOf("a"), with(childOf("t", "a"),
			func(s *Spec) { s.Deps[0].Lineage.Kind = OneToMany })},
			ErrSpec, "", "set On"},
		{"identity with on", []Spec{childOf("a"), with(childOf("t", "a"), func(s *Spec) { s.Deps[0].Lineage.On = ids() })},
			ErrSpec, "", "leave On empty"},
		{"lineage kind", []Spec{childOf("a"), with(childOf("t", "a"), func(s *Spec) { s.Deps[0].Lineage.Kind = 9 })},
			ErrSpec, "", "kind 9"},
		{"mapping kind", []Spec{childOf("a"), with(childOf("t", "a"), func(s *Spec) { s.Deps[0].Mapping.Kind = -1 })},
			ErrSpec, "", "kind -1"},
		{"mapping parts", []Spec{childOf("a"), with(childOf("t", "a"), func(s *Spec) {
			s.Deps[0].Mapping = Mapping{Kind: MapAll, Exclude: []Key{"x"}}
		})}, ErrSpec, "", "belong to MapDefault"},
		{"all and some", []Spec{childOf("a"), with(listing("t", "a", "x"), func(s *Spec) { s.Fields[0].Deps.All = true })},
			ErrSpec, "x", "keep All or On"},
		{"bad metadata", []Spec{with(childOf("t"), func(s *Spec) {
			s.Metadata = map[string]any{"f": []any{1,
				make(chan int)}}
		})},
			ErrSpec, "", `metadata["f"][1] is a chan int`},
		{"not UTF-8", []Spec{with(childOf("t"), func(s *Spec) { s.Description = "\xff" })}, ErrSpec, "", "not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, err := NewGraph(define(c.specs...), Options{})
			if g != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %v with %q", err, c.is, c.want)
			}
			var fe *FeatureError
			if !errors.As(err, &fe) || fe.Field != c.field {
				t.Errorf("got %+v, want a *FeatureError of field %q", fe, c.field)
			}
			if last := c.specs[len(c.specs)-1].Key; fe.Feature != last && c.name != "circle" {
				t.Errorf("got a problem of feature %q, want %q", fe.Feature, last)
			}
		})
	}
}

func TestNewGraphRefusesDefinitions(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]Definition{
		"schema list":    {Schema: json.RawMessage(`[]`)},
		"schema cut off": {Schema: json.RawMessage(`{"a"`)},
		"schema empty":   {Schema: json.RawMessage{}},
		"schema twice":   {Schema: json.RawMessage(`{"a":1,"a":2}`)},
		"own overrides":  {FieldVersions: map[Key]string{"x": "1"}},
	} {
		d.Spec = childOf("t")
		if _, err := NewGraph([]Definition{d}, Options{}); !errors.Is(err, ErrSpec) {
			t.Errorf("%s: got %v, want ErrSpec", name, err)
		}
	}
	for _, n := range []int{-1, 1, 7} {
		if _, err := NewGraph(nil, Options{TruncationLength: n}); !errors.Is(err, ErrOptions) {
			t.Errorf("truncation length %d: got %v, want ErrOptions", n, err)
		}
	}
}

// TestNewGraphTellsEverything checks that all problems of all features come at once, in one order.
func TestNewGraphTellsEverything(t *testing.T) {
	t.Parallel()
	specs := []Spec{childOf("z", "nowhere"), {Key: "b"}, childOf("c", "c"), childOf("a"), listing("d", "a", "y")}
	var first string
	for range 10 {
		_, err := NewGraph(define(specs...), Options{})
		if err == nil {
			t.Fatal("got no error")
		}
		if first == "" {
			first = err.Error()
		}
		if err.Error() != first {
			t.Fatalf("got %v\nin another order than %s", err, first)
		}
		specs = append(specs[1:], specs[0])
	}
	lines := strings.Split(first, "\n")
	if len(lines) != 4 {
		t.Fatalf("got %d problems, want 4:\n%s", len(lines), first)
	}
	for i, key := range []string{`"b"`, `"c"`, `"d"`, `"z"`} {
		if !strings.HasPrefix(lines[i], "feature "+key) {
			t.Errorf("problem %d: got %s, want one of %s", i, lines[i], key)
		}
	}
}

// TestDeepGraph builds chains and fans of many features, right and wrong, which must neither overflow the stack nor
// take time that grows with the square.
func TestDeepGraph(t *testing.T) {
	t.Parallel()
	const n = 10_000
	key := func(i int) Key { return Key(fmt.Sprintf("f%d", i)) }
	chain := []Spec{childOf(key(0))}
	for i := 1; i < n; i++ {
		chain = append(chain, childOf(key(i), key(i-1)))
	}
	g, err := NewGraph(define(chain...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if order := orderOf(g); order[0] != key(0) || order[n-1] != key(n-1) {
		t.Errorf("got the order %s ... %s, want the root first and the end last", order[0], order[n-1])
	}
	chain[0].Deps = []Dep{{Feature: key(n - 1)}}
	_, err = NewGraph(define(chain...), Options{})
	if !errors.Is(err, ErrCycle) || len(err.Error()) > 1000 {
		t.Errorf("got an error of %d bytes, want a short one wrapping ErrCycle", len(fmt.Sprint(err)))
	}
	for i := 1; i < n; i++ {
		chain[i].Deps = append(chain[i].Deps, Dep{Feature: key(0)}, Dep{Feature: key(i)})
	}
	if _, err = NewGraph(define(chain...), Options{}); !errors.Is(err, ErrCycle) {
		t.Errorf("got %v, want ErrCycle", err)
	}
	for i := range n {
		chain[i].Deps = []Dep{{Feature: key(i) + "x"}}
	}
	if _, err = NewGraph(define(chain...), Options{}); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	g := MustGraph(childOf("video/raw"), childOf("video/crop", "video/raw"))
	if f, err := g.Lookup("video/crop"); err != nil || f.Key() != "video/crop" || f.Root() {
		t.Errorf("got %v, %v; want the child video/crop", f, err)
	}
	for key, want := range map[Key]string{
		"video/corp": `"video/crop"`, "crop": `"video/crop"`, "": "among the 2", Key(strings.Repeat("x",
			1<<20)): "among the 2",
	} {
		if _, err := g.Lookup(key); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %.100v, want ErrUnknown with %s", key, err, want)
		}
	}
}

func TestMustGraphPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, ErrCycle) {
			t.Errorf("got the panic %v, want one with ErrCycle", err)
		}
	}()
	MustGraph(childOf("a", "a"))
}

// TestGraphSharesNothing changes the declaration after the graph was built.
func TestGraphSharesNothing(t *testing.T) {
	t.Parallel()
	s := childOf("t", "a")
	s.Metadata = map[string]any{"list": []any{"old"}}
	s.Deps[0].Rename = map[string]string{"c": "d"}
	defs := define(childOf("a"), s)
	defs[1].Schema = json.RawMessage(`{"a":1}`)
	g, err := NewGraph(defs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := g.Lookup("t")
	if err != nil {
		t.Fatal(err)
	}
	before, err := f.Spec().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	s.IDColumns[0], s.Fields[0].Key, s.Deps[0].Rename["c"] = "changed", "changed", "changed"
	s.Metadata["list"].([]any)[0] = "changed"
	defs[1].Schema[2] = 'b'
	f.Inputs("x")[0] = FieldRef{}
	f.Parents()[0] = Parent{}
	if after, err := f.Spec().Canonical(); after != before || err != nil {
		t.Errorf("got %s, %v; want %s", after, err, before)
	}
	if got := f.Inputs("x"); !slices.Equal(got, []FieldRef{{"a", "x"}}) || f.Parents()[0].Feature.Key() != "a" {
		t.Errorf("got the inputs %v, want a.x", got)
	}
	if string(f.Schema()) != `{"a":1}` {
		t.Errorf("got the schema %s, want the one that was given", f.Schema())
	}
}

// BenchmarkNewGraph builds chains of two lengths; the time for each feature must be the same.
func BenchmarkNewGraph(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		chain := []Spec{childOf("f0")}
		for i := 1; i < n; i++ {
			chain = append(chain, childOf(Key(fmt.Sprintf("f%d", i)), chain[i-1].Key))
		}
		defs := define(chain...)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := NewGraph(defs, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/feature")
		})
	}
}
