package feature

import (
	"slices"
	"strings"
)

// longestCycle is how many features of a cycle a message names.
const longestCycle = 10

// A visit is a feature on the way from a starting point of the search to the feature at hand.
type visit struct {
	feature *Feature
	rest    []*Feature // parents still to be visited
}

// sort puts the features in Metaxy's order: depth first, parents before children, starting points and the parents of
// each feature by key. The way is kept in a slice, because graphs may be deeper than a call stack should be.
func (a *assembly) sort() {
	var roots []*Feature
	for _, f := range a.graph.features {
		roots = append(roots, f)
	}
	sortByKey(roots)
	seen, done, tangled := map[*Feature]bool{}, map[*Feature]bool{}, map[*Feature]bool{}
	way := []visit{{rest: roots}}
	for len(way) > 0 {
		top := &way[len(way)-1]
		if len(top.rest) == 0 {
			if top.feature != nil {
				done[top.feature] = true
				a.graph.order = append(a.graph.order, top.feature)
			}
			way = way[:len(way)-1]
			continue
		}
		next := top.rest[0]
		top.rest = top.rest[1:]
		switch {
		case !seen[next]:
			seen[next] = true
			way = append(way, visit{next, sortedParents(next)})
		case !done[next] && !tangled[next]:
			a.cycle(way, next, tangled)
		}
	}
}

// cycle reports the features on the way since next, to which the way has returned, and marks them so that a tangle of
// many cycles is reported once.
func (a *assembly) cycle(way []visit, next *Feature, tangled map[*Feature]bool) {
	start := slices.IndexFunc(way, func(v visit) bool { return v.feature == next })
	var names []string
	for _, v := range way[start:] {
		tangled[v.feature] = true
		names = append(names, string(v.feature.Key()))
	}
	if len(names) > longestCycle {
		names = append(names[:longestCycle], "...")
	}
	names = append(names, string(next.Key()))
	a.fail(next.Key(), "", ErrCycle, "it depends on itself: %s; remove one of these dependencies",
		strings.Join(names, " -> "))
}

func sortedParents(f *Feature) []*Feature {
	parents := make([]*Feature, len(f.parents))
	for i, p := range f.parents {
		parents[i] = p.Feature
	}
	sortByKey(parents)
	return parents
}

// sortByKey sorts by the whole key as a string, not by its parts.
func sortByKey(features []*Feature) {
	slices.SortFunc(features, func(a, b *Feature) int { return strings.Compare(string(a.Key()), string(b.Key())) })
}
