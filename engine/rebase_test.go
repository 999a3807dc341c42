package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// rebased returns the rows that a rebase of all that is stored gives, as "id provenance".
func (s *scene) rebased(key feature.Key, columns ...string) []string {
	s.t.Helper()
	f := s.feature(key)
	snap, err := s.store.Snapshot(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	rows := Read(s.t.Context(), snap, f, ReadOptions{})
	var out []string
	for _, row := range goRows(collect(s.t, Rebase(s.t.Context(), s.store, f, rows, Hashing{}))...) {
		var cells []string
		for _, c := range append(columns, feature.ColProvenance) {
			cells = append(cells, fmt.Sprint(row[c]))
		}
		out = append(out, strings.Join(cells, " "))
	}
	slices.Sort(out)
	return out
}

// The row of a group is rebased once, however many rows the group has; and so are all children of a parent's row.
func TestRebaseLineage(t *testing.T) {
	t.Parallel()
	parts := feature.Spec{Key: "parts", IDColumns: []string{"id", "n"}, Fields: []feature.Field{{Key: "x"}}}
	sum := feature.Spec{Key: "sum", IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "x"}},
		Deps: []feature.Dep{{Feature: "parts", Select: []string{"n"}, Lineage: feature.Lineage{Kind: feature.ManyToOne, On: []string{"id"}}}}}
	each := feature.Spec{Key: "each", IDColumns: []string{"id", "k"}, Fields: []feature.Field{{Key: "x"}},
		Deps: []feature.Dep{{Feature: "sum", Lineage: feature.Lineage{Kind: feature.OneToMany, On: []string{"id"}}}}}
	s := newScene(t, parts, sum, each)
	const one = "metaxy_provenance_by_field:struct<x:string>"
	s.write("parts", s.rows("id:string n:int64 "+one, `{"id":"a","n":1,"metaxy_provenance_by_field":{"x":"1"}}`,
		`{"id":"a","n":2,"metaxy_provenance_by_field":{"x":"2"}}`, `{"id":"b","n":1,"metaxy_provenance_by_field":{"x":"3"}}`))
	s.write("sum", s.rows("id:string "+one, `{"id":"a","metaxy_provenance_by_field":{"x":"old"}}`,
		`{"id":"b","metaxy_provenance_by_field":{"x":"old"}}`, `{"id":"gone","metaxy_provenance_by_field":{"x":"old"}}`))
	s.write("each", s.rows("id:string k:int64 "+one, `{"id":"a","k":1,"metaxy_provenance_by_field":{"x":"old"}}`,
		`{"id":"a","k":2,"metaxy_provenance_by_field":{"x":"old"}}`, `{"id":"lost","k":1,"metaxy_provenance_by_field":{"x":"old"}}`))
	for key, ids := range map[feature.Key][]string{"sum": {"id"}, "each": {"id", "k"}} {
		want := map[string]string{}
		inc, err := Resolve(t.Context(), s.store, s.feature(key), Options{SkipComparison: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range goRows(collect(t, inc.Batches(t.Context(), New, []string{"id", feature.ColProvenance}, 0))...) {
			want[fmt.Sprint(row["id"])] = fmt.Sprint(row[feature.ColProvenance])
		}
		got := s.rebased(key, ids...)
		if len(got) != 2 {
			t.Errorf("%s: rebased are %q, want two rows", key, got)
		}
		for _, row := range got {
			cells := strings.Fields(row)
			if cells[len(cells)-1] != want[cells[0]] {
				t.Errorf("%s: %s, want provenance %s", key, row, want[cells[0]])
			}
		}
	}
}
