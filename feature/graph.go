package feature

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// A Definition is a feature with what surrounds its spec.
type Definition struct {
	// Spec declares the feature.
	Spec Spec
	// Schema is a JSON object that describes the columns; it takes part in the definition version. Nil means {}.
	Schema json.RawMessage
	// Project is the project that the feature belongs to. Empty means Options.Project.
	Project string
	// External marks a feature that another project computes. It takes no part in project versions. False means
	// that the feature is the project's own.
	External bool
	// FieldVersions overrides the computed versions of an external feature's fields. Nil overrides none.
	FieldVersions map[Key]string
	// ClassPath is the Python class that declares the feature, as Metaxy records it. Empty means that none does.
	ClassPath string
	// StrictVersion makes it an error, not a warning, when the definition that the store records of an external feature
	// has another version than this one (Metaxy's on_version_mismatch="error"). False warns.
	StrictVersion bool
}

// Options says how a graph computes its versions. The zero value keeps hashes whole and names no project.
type Options struct {
	// Project is the project of definitions that name none, and the current project. Empty means that the
	// definitions decide.
	Project string
	// TruncationLength is how many characters every hash keeps, 8 at least. Zero keeps all 64.
	TruncationLength int
}

// minTruncation is the shortest hash that Metaxy allows.
const minTruncation = 8

// A Graph is a set of features that is consistent: every parent is there, nothing depends on itself, every field has
// a version. It is immutable and safe for concurrent use.
type Graph struct {
	options  Options
	defs     []Definition // one for each feature, in order of key, specs completed
	features map[Key]*Feature
	order    []*Feature // parents before children
}

// NewGraph checks the definitions and computes every version. Their order does not matter. An external feature gives
// way to one of the project's own with the same key; other duplicates are errors. The error joins one *[FeatureError]
// for every problem.
func NewGraph(defs []Definition, o Options) (*Graph, error) {
	if o.TruncationLength != 0 && o.TruncationLength < minTruncation {
		return nil, fmt.Errorf("%w: truncation length %d; use 0 to keep hashes whole, or at least %d",
			ErrOptions, o.TruncationLength, minTruncation)
	}
	g, problems := assemble(defs, o)
	if len(problems) > 0 {
		return nil, joinProblems(problems)
	}
	return g, nil
}

// MustGraph is [NewGraph] for specs that are part of a program. It panics when they are wrong.
func MustGraph(specs ...Spec) *Graph {
	defs := make([]Definition, len(specs))
	for i, s := range specs {
		defs[i].Spec = s
	}
	g, err := NewGraph(defs, Options{})
	if err != nil {
		panic(err)
	}
	return g
}

// With returns a graph of the same features under other options.
func (g *Graph) With(o Options) (*Graph, error) {
	return NewGraph(g.defs, o)
}

// Options returns the options that the versions were computed under.
func (g *Graph) Options() Options { return g.options }

// Lookup returns the feature with the given key, or an error wrapping [ErrUnknown] that suggests a similar key.
func (g *Graph) Lookup(k Key) (*Feature, error) {
	if f, ok := g.features[k]; ok {
		return f, nil
	}
	return nil, fmt.Errorf("%w: no feature %.100q among the %d of the graph%s",
		ErrUnknown, k, len(g.features), didYouMean(string(k), g.keys()))
}

func (g *Graph) keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, d := range g.defs {
			if !yield(string(d.Spec.Key)) {
				return
			}
		}
	}
}

// All yields the features in an order that has parents before their children, and that is always the same.
func (g *Graph) All() iter.Seq[*Feature] { return slices.Values(g.order) }

// ProjectVersion returns the version of a project: a hash over the definitions of its features, external ones left
// out. It is "empty" for a project without any.
func (g *Graph) ProjectVersion(project string) string {
	own := slices.Collect(func(yield func(*Feature) bool) {
		for _, f := range g.order {
			if f.project == project && !f.external && !yield(f) {
				return
			}
		}
	})
	if len(own) == 0 {
		return "empty"
	}
	slices.SortFunc(own, func(a, b *Feature) int { return a.Key().Compare(b.Key()) })
	var input strings.Builder
	for _, f := range own {
		input.WriteString(string(f.Key()) + f.definitionVersion)
	}
	return g.options.hash(input.String())
}

// Project returns the current project: that of the options, else the only one that the graph's own features belong
// to. Without such a project the error wraps [ErrProject].
func (g *Graph) Project() (string, error) {
	if g.options.Project != "" {
		return g.options.Project, nil
	}
	projects := map[string]bool{}
	var names []string
	for _, d := range g.defs {
		if !d.External && !projects[d.Project] {
			projects[d.Project] = true
			names = append(names, d.Project)
		}
	}
	switch len(names) {
	case 0:
		return "", fmt.Errorf("%w: the graph has no feature of its own; name the project", ErrProject)
	case 1:
		return names[0], nil
	}
	slices.Sort(names)
	return "", fmt.Errorf("%w: the features belong to projects %q; name the one that is meant", ErrProject, names)
}
