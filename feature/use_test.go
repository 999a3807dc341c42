package feature

import (
	"errors"
	"strings"
	"testing"
)

// TestCheckUse goes through graphs that Metaxy accepts and then cannot use.
func TestCheckUse(t *testing.T) {
	t.Parallel()
	root := func(key Key, ids ...string) Spec { return Spec{Key: key, IDColumns: ids} }
	child := func(ids []string, deps ...Dep) Spec { return Spec{Key: "t", IDColumns: ids, Deps: deps} }
	rename := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	id := []string{"id"}
	a, b := root("a", "id"), root("b", "id", "n")
	group := Lineage{Kind: ManyToOne, On: []string{"g"}}
	for _, c := range []struct {
		name  string
		specs []Spec
		want  string // "" for no problem
	}{
		{"plain", []Spec{a, b, child(id, Dep{Feature: "a"}, Dep{Feature: "b"})}, ""},
		{"id twice", []Spec{root("t", "id", "id")}, `"id" stands there twice`},
		{"id of the system", []Spec{root("t", ColProvenance)}, "is a system column"},
		{"id without a name", []Spec{root("t", "")}, "a column without a name"},
		{"to a system column", []Spec{a, child(id, Dep{Feature: "a", Rename: rename("c", ColUpdatedAt)})},
			`column "c" of "a" to the system column "metaxy_updated_at"`},
		{"to an ID column", []Spec{a, child(id, Dep{Feature: "a", Rename: rename("c", "id")})},
			`"c" of "a" to its ID column "id"`},
		{"to one name", []Spec{a, child(id, Dep{Feature: "a", Rename: rename("c", "e", "d", "e")})},
			`columns "c" and "d" of "a" both to "e"`},
		{"swapped", []Spec{a, child(id, Dep{Feature: "a", Rename: rename("c", "d", "d", "c")})}, ""},
		{"same suffix", []Spec{root("p/q", "id"), root("p_q", "id"), child(id, Dep{Feature: "p/q"}, Dep{Feature: "p_q"})},
			`"p/q" and "p_q", whose columns would share the suffix "__p_q"`},
		{"same parent", []Spec{a, child(id, Dep{Feature: "a"}, Dep{Feature: "a"})}, `depends on "a" twice`},
		{"selected twice", []Spec{a, b, child(id, Dep{Feature: "a", Select: []string{"c"}}, Dep{Feature: "b",
			Select: []string{"c"}})},
			`column "c" is selected more than once`},
		{"selected twice in one", []Spec{a, child(id, Dep{Feature: "a", Select: []string{"c", "c"}})}, `column "c"`},
		{"ids selected twice", []Spec{a, b, child(id, Dep{Feature: "a", Select: id}, Dep{Feature: "b", Select: id})}, ""},
		{"ids of one parent only", []Spec{a, b, child(id, Dep{Feature: "a", Select: []string{"n"}}, Dep{Feature: "b",
			Select: id})}, ""},
		{"one selects all", []Spec{a, b, child(id, Dep{Feature: "a"}, Dep{Feature: "b", Select: []string{"c"}})}, ""},
		{"group columns", []Spec{a, b, child(id, Dep{Feature: "a", Select: []string{"g"}}, Dep{Feature: "b",
			Select: []string{}, Lineage: group})}, ""},
		{"renamed apart", []Spec{a, b, child(id, Dep{Feature: "a", Select: []string{"c"}},
			Dep{Feature: "b", Select: []string{"d"}, Rename: rename("c", "d")})}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := MustGraph(c.specs...).Lookup("t")
			if err != nil {
				t.Fatal(err)
			}
			err = f.CheckUse()
			if c.want == "" {
				if err != nil {
					t.Errorf("got %v, want no problem", err)
				}
				return
			}
			if !errors.Is(err, ErrSpec) || !strings.Contains(err.Error(), `feature "t": `) || !strings.Contains(err.Error(),
				c.want) {
				t.Errorf("got %v, want ErrSpec of t with %q", err, c.want)
			}
		})
	}
}

func TestSystemColumns(t *testing.T) {
	t.Parallel()
	columns := SystemColumns()
	if len(columns) != 10 || columns[0] != "metaxy_provenance_by_field" || columns[9] != "metaxy_materialization_id" {
		t.Errorf("got %q, want the ten columns in their order", columns)
	}
	columns[0] = "changed"
	if IsSystemColumn("changed") || !IsSystemColumn(ColProvenanceByField) || IsSystemColumn("metaxy_other") {
		t.Error("a caller's change of the list reached the package, or another name counts as a system column")
	}
}
