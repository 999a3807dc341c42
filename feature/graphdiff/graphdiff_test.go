package graphdiff_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/feature/graphdiff"
)

// TestCompare tells definitions that have changed from those that follow their parents, and fields apart.
func TestCompare(t *testing.T) {
	t.Parallel()
	ids := []string{"id"}
	child := feature.Spec{Key: "b", IDColumns: ids, Deps: []feature.Dep{{Feature: "a"}}, Fields: []feature.Field{{Key: "x"}}}
	from := feature.MustGraph(
		feature.Spec{Key: "a", IDColumns: ids, Fields: []feature.Field{{Key: "x"}, {Key: "y"}, {Key: "w"}}}, child,
		feature.Spec{Key: "gone", IDColumns: ids}, feature.Spec{Key: "same", IDColumns: ids})
	to := feature.MustGraph(
		feature.Spec{Key: "a", IDColumns: ids, Fields: []feature.Field{{Key: "x", CodeVersion: "2"}, {Key: "y"}, {Key: "z"}}}, child,
		feature.Spec{Key: "came", IDColumns: ids}, feature.Spec{Key: "same", IDColumns: ids, Description: "now"})
	var got []string
	for _, c := range graphdiff.Compare(from, to) {
		line := fmt.Sprintf("%s %s versioned=%t", c.Key, c.Status, c.Versioned())
		for _, f := range c.Fields {
			line += fmt.Sprintf(" %s:%s:%s>%s", f.Key, f.Status, f.OldCodeVersion, f.NewCodeVersion)
			if (f.OldVersion == "") != (f.Status == graphdiff.Added) || (f.NewVersion == "") != (f.Status == graphdiff.Removed) {
				t.Errorf("%s: %+v", c.Key, f)
			}
		}
		got = append(got, line)
	}
	want := []string{
		"a changed versioned=true z:added:>__metaxy_initial__ w:removed:__metaxy_initial__> x:changed:__metaxy_initial__>2",
		"b unchanged versioned=true x:changed:__metaxy_initial__>__metaxy_initial__",
		"came added versioned=false", "gone removed versioned=false", "same changed versioned=false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
