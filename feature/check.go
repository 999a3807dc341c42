package feature

import (
	"fmt"
	"maps"
	"slices"
)

// fields returns the fields with the default one filled in.
func (s *Spec) fields() []Field {
	if s.Fields == nil {
		return []Field{{}}
	}
	return s.Fields
}

// problems checks the rules that a spec must follow by itself, as Metaxy does when it reads one. (What needs other
// features is checked by the graph.)
func (s *Spec) problems() []*FeatureError {
	c := checker{}
	c.key("", "", s.Key)
	if len(s.IDColumns) == 0 {
		c.fail("", "id_columns", "no ID columns; name at least one column that identifies a sample")
	}
	seen := map[Key]bool{}
	for i, f := range s.fields() {
		if seen[f.name()] {
			c.fail(f.name(), "fields", "the field is declared twice; give each field a key of its own")
		}
		seen[f.name()] = true
		c.field(fmt.Sprintf("fields[%d]", i), f)
	}
	for i, d := range s.Deps {
		c.dep(fmt.Sprintf("deps[%d]", i), d)
	}
	return c.found
}

// A checker collects problems of a spec.
type checker struct {
	found []*FeatureError
}

func (c *checker) fail(field Key, path, format string, args ...any) {
	c.found = append(c.found, specProblem(field, path, format, args...))
}

// key checks a key that may come from Go code, where nothing was parsed. No parts at all are let through, as in
// Metaxy; a Graph refuses them where they matter.
func (c *checker) key(field Key, path string, k Key) {
	if k == "" {
		return
	}
	if _, err := ParseKey(string(k)); err != nil {
		c.fail(field, path, "%w", err)
	}
}

func (c *checker) field(path string, f Field) {
	c.key(f.name(), path, f.name())
	for _, dep := range f.Deps.On {
		c.key(f.name(), path+".deps", dep.Feature)
		for _, k := range dep.Fields {
			c.key(f.name(), path+".deps", k)
		}
	}
	if f.Deps.All && len(f.Deps.On) > 0 {
		c.fail(f.name(), path+".deps", "says all fields and lists some; keep All or On")
	}
}

func (c *checker) dep(path string, d Dep) {
	c.key("", path, d.Feature)
	if gone := renamedAway(d); len(gone) > 0 {
		c.fail("", path+".select", "names columns %q of feature %q that rename has replaced; "+
			"use the new names, because rename comes first", gone, d.Feature)
	}
	c.lineage(path+".lineage", d.Lineage)
	c.mapping(path+".fields_mapping", d.Mapping)
}

// renamedAway returns the selected columns that do not exist any more after renaming.
func renamedAway(d Dep) []string {
	gone := map[string]bool{}
	for _, column := range d.Select {
		if _, renamed := d.Rename[column]; renamed {
			gone[column] = true
		}
	}
	for _, to := range d.Rename {
		delete(gone, to)
	}
	return slices.Sorted(maps.Keys(gone))
}

func (c *checker) lineage(path string, l Lineage) {
	switch l.Kind {
	case OneToOne:
		if len(l.On) > 0 {
			c.fail("", path, "one to one relates samples by ID columns; leave On empty or choose another kind")
		}
	case ManyToOne:
	case OneToMany:
		if l.On == nil {
			c.fail("", path, "one to many needs the columns that identify the parent's sample; set On")
		}
	default:
		c.fail("", path, "unknown lineage kind %d; use OneToOne, ManyToOne or OneToMany", l.Kind)
	}
}

func (c *checker) mapping(path string, m Mapping) {
	if m.Kind < MapDefault || m.Kind > MapNone {
		c.fail("", path, "unknown mapping kind %d; use MapDefault, MapSpecific, MapAll or MapNone", m.Kind)
	}
	if m.Kind != MapDefault && (m.MatchSuffix || len(m.Exclude) > 0) {
		c.fail("", path, "MatchSuffix and Exclude belong to MapDefault; a mapping of kind %s ignores them", m.Kind)
	}
	if m.Kind != MapSpecific && len(m.Fields) > 0 {
		c.fail("", path, "Fields belong to MapSpecific; a mapping of kind %s ignores them", m.Kind)
	}
	for _, k := range m.Exclude {
		c.key("", path, k)
	}
	for _, field := range slices.SortedFunc(maps.Keys(m.Fields), Key.Compare) {
		c.key("", path, field)
		for _, k := range m.Fields[field] {
			c.key("", path, k)
		}
	}
}
