package feature

import (
	"encoding/json"
	"errors"
	"iter"
)

var (
	// ErrSpec reports a feature that is declared wrongly.
	ErrSpec = errors.New("feature: invalid spec")
	// ErrUnknown reports a name that no feature or field has.
	ErrUnknown = errors.New("feature: unknown name")
	// ErrCycle reports features that depend on each other in a circle.
	ErrCycle = errors.New("feature: dependency cycle")
	// ErrMapping reports a field for which no parent field is found.
	ErrMapping = errors.New("feature: no parent field")
)

// A Definition is a feature with what surrounds its spec.
type Definition struct {
	// Spec declares the feature.
	Spec Spec
	// Schema is a JSON object that describes the columns; it takes part in the definition version. Nil means {}.
	Schema json.RawMessage
	// Project is the project that the feature belongs to. Empty means Options.Project.
	Project string
	// External marks a feature that another project computes. It takes no part in project versions.
	External bool
	// FieldVersions overrides the computed versions of an external feature's fields. Nil overrides none.
	FieldVersions map[Key]string
}

// Options says how a graph computes its versions.
type Options struct {
	// Project is the project of definitions that name none, and the current project. Empty means that the
	// definitions decide.
	Project string
	// TruncationLength is how many characters every hash keeps, 8 at least. Zero keeps all 64.
	TruncationLength int
}

// A Graph is a set of features that is consistent: every dependency is there, nothing depends on itself, every field
// has a version. It is immutable and safe for concurrent use.
type Graph struct{}

// NewGraph checks the definitions and computes every version. The error joins one *[FeatureError] for every problem.
func NewGraph(defs []Definition, o Options) (*Graph, error) { panic("unfinished") }

// MustGraph is [NewGraph] for specs that are part of a program. It panics when they are wrong.
func MustGraph(specs ...Spec) *Graph { panic("unfinished") }

// With returns a graph of the same features under other options.
func (g *Graph) With(o Options) (*Graph, error) { panic("unfinished") }

// Options returns the options that the versions were computed under.
func (g *Graph) Options() Options { panic("unfinished") }

// Lookup returns the feature with the given key, or an error wrapping [ErrUnknown] that suggests similar keys.
func (g *Graph) Lookup(k Key) (*Feature, error) { panic("unfinished") }

// All yields the features so that parents come before their children.
func (g *Graph) All() iter.Seq[*Feature] { panic("unfinished") }

// ProjectVersion returns the version of a project: a hash over its own features' definitions, "empty" without any.
func (g *Graph) ProjectVersion(project string) string { panic("unfinished") }

// Project returns the current project: that of the options, else the only one that the features have.
func (g *Graph) Project() (string, error) { panic("unfinished") }

// A Feature is a checked feature of a graph.
type Feature struct{}

// A Parent is a dependency with the feature that it points at.
type Parent struct {
	Dep     Dep      // as the child declares it
	Feature *Feature // never nil
}

// A FieldRef names a field of a feature.
type FieldRef struct {
	Feature Key
	Field   Key
}
