package feature

// InitialCodeVersion is the code version of a field that names none.
const InitialCodeVersion = "__metaxy_initial__"

// DefaultField is the field of a feature that names none.
const DefaultField Key = "default"

// allMarker stands in JSON for "all fields" where a list of fields could stand.
const allMarker = "__METAXY_ALL_DEP__"

// A Spec declares a feature. It is plain data that [NewGraph] checks. In JSON it has the shape of Metaxy's
// FeatureSpec: every member is written, and the short forms that Metaxy accepts are read.
type Spec struct {
	// Key names the feature. It is required.
	Key Key
	// IDColumns are the columns that identify a sample. At least one is required.
	IDColumns []string
	// Deps are the features that this one is computed from. None makes it a root feature.
	Deps []Dep
	// Fields are the separately versioned parts of a sample. Nil means one field named [DefaultField]; an empty
	// slice means no field at all.
	Fields []Field
	// Metadata is free information: null, booleans, numbers, strings, lists and maps of these. JSON numbers are read
	// as json.Number, so that they stay exact. Nil means empty.
	Metadata map[string]any
	// Description is a text for people. Empty means none, except in a Spec read from JSON that says "", which has
	// another hash than null and keeps it.
	Description string

	described bool // Description was given, even if it is empty
}

// A Field is a part of a sample that has a version of its own.
type Field struct {
	// Key names the field within its feature. Empty means [DefaultField].
	Key Key
	// CodeVersion changes when the code that computes the field does. Empty means [InitialCodeVersion], except in a
	// Field read from JSON that says "", which Metaxy hashes as it stands; in a [Feature]'s Spec it is always the
	// version that is hashed.
	CodeVersion string
	// Deps says which parent fields this one is computed from. The zero value leaves it to the mappings of the
	// feature's dependencies.
	Deps FieldDeps

	versioned bool // CodeVersion was given, even if it is empty
}

// FieldDeps says which parent fields a field is computed from.
type FieldDeps struct {
	// All means every field of every parent. False looks at On.
	All bool
	// On lists the parent fields. Empty (and All false) leaves it to the mappings of the feature's dependencies.
	On []FieldDep
}

// A FieldDep names fields of one parent.
type FieldDep struct {
	// Feature is the parent. It must be among the feature's Deps.
	Feature Key
	// Fields are fields of the parent. Nil means all of them; an empty slice means none.
	Fields []Key
}

// code returns the code version that is hashed.
func (f Field) code() string {
	if f.CodeVersion == "" && !f.versioned {
		return InitialCodeVersion
	}
	return f.CodeVersion
}

// name returns the key of the field with the default filled in.
func (f Field) name() Key {
	if f.Key == "" {
		return DefaultField
	}
	return f.Key
}
