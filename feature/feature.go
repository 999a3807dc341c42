package feature

import (
	"encoding/json"
	"maps"
	"slices"
)

// A Feature is a checked feature of a [Graph]. It is immutable.
type Feature struct {
	spec      Spec // completed: defaults filled in, nothing shared with the caller
	schema    json.RawMessage
	project   string
	external  bool
	overrides map[Key]string
	classPath string
	strict    bool

	parents  []Parent
	byKey    map[Key]*Feature // parents by key
	fields   map[Key]bool
	inputs   map[Key][]FieldRef
	versions map[Key]string // of the fields

	version           string
	codeVersion       string
	specVersion       string
	definitionVersion string
}

// A Parent is a dependency with the feature that it points at.
type Parent struct {
	// Dep is the dependency as the child declares it.
	Dep Dep
	// Feature is the parent. It is never nil.
	Feature *Feature
}

// A FieldRef names a field of a feature.
type FieldRef struct {
	// Feature is the key of the feature. It is never empty.
	Feature Key
	// Field is the key of the field within the feature. It is never empty.
	Field Key
}

// String returns the reference as it is hashed and shown: "video/full.audio".
func (r FieldRef) String() string { return string(r.Feature) + "." + string(r.Field) }

// Key returns the feature's key.
func (f *Feature) Key() Key { return f.spec.Key }

// Spec returns the feature's declaration with every default filled in: it has Fields, each with a Key and the
// CodeVersion that is hashed. It must not be changed.
func (f *Feature) Spec() *Spec { return &f.spec }

// Schema returns the JSON object that describes the feature's columns, {} if none was given.
func (f *Feature) Schema() json.RawMessage { return slices.Clone(f.schema) }

// Project returns the project that the feature belongs to.
func (f *Feature) Project() string { return f.project }

// External reports whether another project computes the feature.
func (f *Feature) External() bool { return f.external }

// ClassPath returns the Python class that declares the feature, or "" when none does.
func (f *Feature) ClassPath() string { return f.classPath }

// Definition returns what the feature was made of, with the graph's project and every default filled in. A graph of the
// same definitions has the same versions. Its spec must not be changed.
func (f *Feature) Definition() Definition {
	return Definition{
		Spec: f.spec, Schema: f.Schema(), Project: f.project, External: f.external, FieldVersions: maps.Clone(f.overrides),
		ClassPath: f.classPath, StrictVersion: f.strict,
	}
}

// Root reports whether the feature has no parents.
func (f *Feature) Root() bool { return len(f.spec.Deps) == 0 }

// Version returns the feature version. It changes when a field's does: with the code versions of the feature's fields
// and of all fields that these are computed from.
func (f *Feature) Version() string { return f.version }

// CodeVersion returns a hash that changes only with the code versions of the feature's own fields.
func (f *Feature) CodeVersion() string { return f.codeVersion }

// SpecVersion returns a hash that changes with anything in the spec.
func (f *Feature) SpecVersion() string { return f.specVersion }

// DefinitionVersion returns a hash that changes with anything in the spec or the schema.
func (f *Feature) DefinitionVersion() string { return f.definitionVersion }

// FieldVersion returns the version of a field, or "" when the feature has no such field.
func (f *Feature) FieldVersion(field Key) string { return f.versions[field] }

// Parents returns the dependencies in the order of the spec. An external feature whose field versions are all given
// may have parents that the graph does not know; these are left out.
func (f *Feature) Parents() []Parent { return slices.Clone(f.parents) }

// Inputs returns the parent fields that a field is computed from, in the order in which they are hashed. A field of a
// root feature has none.
func (f *Feature) Inputs(field Key) []FieldRef { return slices.Clone(f.inputs[field]) }
