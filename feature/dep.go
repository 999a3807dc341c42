package feature

// A Dep makes a feature a child of another, its parent.
type Dep struct {
	// Feature is the parent. It is required.
	Feature Key
	// Select names the parent's columns to keep, by their names after Rename. Nil keeps all; empty keeps none but
	// the ID and system columns.
	Select []string
	// Rename maps names of the parent's columns to new names. Nil and empty rename none.
	Rename map[string]string
	// Filters are conditions on the parent's rows, by column names after Rename, which must all hold. Nil and empty
	// let every row through.
	Filters []string
	// Lineage says how the parent's samples relate to the feature's. Zero is one to one.
	Lineage Lineage
	// Optional keeps samples for which the parent has no row. False leaves them out.
	Optional bool
	// Mapping says which fields of the parent the feature's fields are computed from. Zero is [MapDefault].
	Mapping Mapping
}

// A LineageKind says how many samples of a parent belong to how many of its child.
type LineageKind int

const (
	// OneToOne gives each sample of the child one sample of the parent.
	OneToOne LineageKind = iota
	// ManyToOne makes one sample of the child from a group of the parent's.
	ManyToOne
	// OneToMany makes several samples of the child from one of the parent's.
	OneToMany
)

// String returns the kind as it stands in JSON: "1:1", "N:1" or "1:N".
func (k LineageKind) String() string {
	switch k {
	case OneToOne:
		return "1:1"
	case ManyToOne:
		return "N:1"
	case OneToMany:
		return "1:N"
	}
	return "unknown"
}

// A Lineage relates the samples of a parent to those of its child.
type Lineage struct {
	// Kind is the cardinality. Zero is [OneToOne].
	Kind LineageKind
	// On are the columns, by their names after Rename, that relate the two. For [ManyToOne], nil means the child's
	// ID columns. [OneToMany] requires it. [OneToOne] has none.
	On []string
	// IDGenerationPattern is Metaxy's note of how the ID columns of a [OneToMany] child come about. Empty means none.
	IDGenerationPattern string

	patterned bool // IDGenerationPattern was given, even if it is empty
}

// A MapKind says how a field finds the parent fields that it is computed from.
type MapKind int

const (
	// MapDefault takes the parent's field of the same name, or all of them when there is none.
	MapDefault MapKind = iota
	// MapSpecific takes the fields that Mapping.Fields lists.
	MapSpecific
	// MapAll takes every field of the parent.
	MapAll
	// MapNone takes no field of the parent.
	MapNone
)

// String returns the kind as it stands in JSON: "default", "specific", "all" or "none".
func (k MapKind) String() string {
	switch k {
	case MapDefault:
		return "default"
	case MapSpecific:
		return "specific"
	case MapAll:
		return "all"
	case MapNone:
		return "none"
	}
	return "unknown"
}

// A Mapping finds the parent fields of fields that list none themselves.
type Mapping struct {
	// Kind is the rule. Zero is [MapDefault].
	Kind MapKind
	// MatchSuffix lets [MapDefault] also match parent fields whose last parts are the field's. False does not.
	MatchSuffix bool
	// Exclude names parent fields that [MapDefault] never takes. Nil excludes none.
	Exclude []Key
	// Fields are, for [MapSpecific], the parent fields of each field. A field without an entry has none.
	Fields map[Key][]Key
}
