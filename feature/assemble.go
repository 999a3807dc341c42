package feature

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// reservedPart begins the keys of Metaxy's system tables.
const reservedPart = "metaxy-system"

// An assembly is a graph in the making. Each stage goes through the features in an order that does not depend on that
// of the definitions, so that the problems come out in the same order too.
type assembly struct {
	graph    *Graph
	problems []*FeatureError
	hints    int // how many suggestions were made
}

// maxHints bounds how often all names are searched for similar ones, so that a graph in which everything is wrong
// takes no longer than others.
const maxHints = 50

// assemble builds the graph as far as it goes and returns every problem. A feature whose problem, or whose parents'
// problem, leaves a field without a version has no version itself; only a graph without problems leaves the package.
func assemble(defs []Definition, o Options) (*Graph, []*FeatureError) {
	a := &assembly{graph: &Graph{options: o, features: map[Key]*Feature{}}}
	a.collect(defs)
	a.checkTables()
	a.link()
	a.sort()
	for _, f := range a.graph.order {
		a.version(f)
	}
	return a.graph, a.problems
}

func (a *assembly) fail(feature, field Key, sentinel error, format string, args ...any) {
	err := fmt.Errorf("%w: %w", sentinel, fmt.Errorf(format, args...))
	a.problems = append(a.problems, &FeatureError{Feature: feature, Field: field, Err: err})
}

// collect takes the definitions into the graph, one for each key, in order of key.
func (a *assembly) collect(defs []Definition) {
	byKey := map[Key][]Definition{}
	for _, d := range defs {
		byKey[d.Spec.Key] = append(byKey[d.Spec.Key], d)
	}
	for _, key := range slices.SortedFunc(maps.Keys(byKey), Key.Compare) {
		d, problem := choose(byKey[key])
		if problem != "" {
			a.fail(key, "", ErrSpec, "%s", problem)
		}
		a.take(d)
	}
}

// choose picks the definition that counts among those of one key: the project's own before an external one.
func choose(defs []Definition) (d Definition, problem string) {
	own := slices.DeleteFunc(slices.Clone(defs), func(d Definition) bool { return d.External })
	switch {
	case len(own) == 1:
		return own[0], ""
	case len(own) > 1:
		return own[0], fmt.Sprintf("declared %d times; give each feature a key of its own", len(own))
	case len(defs) > 1:
		return defs[0], fmt.Sprintf("declared %d times as external; keep one declaration", len(defs))
	}
	return defs[0], ""
}

// take checks a definition by itself, computes the versions that need nothing else, and adds it to the graph.
func (a *assembly) take(d Definition) {
	key := d.Spec.Key
	for _, p := range d.Spec.problems() {
		p.Feature = key
		a.problems = append(a.problems, p)
	}
	switch first, _, _ := strings.Cut(string(key), "/"); first {
	case "":
		a.fail(key, "", ErrSpec, `no key; give the feature one, such as "video/crop"`)
	case reservedPart:
		a.fail(key, "", ErrSpec, "keys under %q belong to Metaxy's system tables; choose another first part", first)
	}
	if len(d.FieldVersions) > 0 && !d.External {
		a.fail(key, "", ErrSpec, "field versions are given; only those of an external feature can be")
	}
	spec, err := d.Spec.completed()
	if err != nil {
		a.problems = append(a.problems, &FeatureError{Feature: key, Err: err})
		spec = Spec{Key: key}
	}
	d.Spec = spec
	if d.Schema == nil {
		d.Schema = json.RawMessage("{}")
	}
	a.graph.defs = append(a.graph.defs, d)
	a.add(d)
}

func (a *assembly) add(d Definition) {
	f := &Feature{
		spec: d.Spec, schema: slices.Clone(d.Schema), project: d.Project, external: d.External,
		overrides: maps.Clone(d.FieldVersions), classPath: d.ClassPath, strict: d.StrictVersion,
		byKey: map[Key]*Feature{}, fields: map[Key]bool{}, inputs: map[Key][]FieldRef{}, versions: map[Key]string{},
	}
	if f.project == "" {
		f.project = a.graph.options.Project
	}
	members := map[string]Key{}
	for _, field := range f.spec.Fields {
		member := field.Key.StructKey()
		if other, taken := members[member]; taken && other != field.Key {
			a.fail(f.Key(), field.Key, errCollision,
				"shares the member name %q of by-field columns with field %q; rename one of them", member, other)
		}
		members[member] = field.Key
		f.fields[field.Key] = true
	}
	if err := f.describe(a.graph.options); err != nil {
		a.problems = append(a.problems, &FeatureError{Feature: f.Key(), Err: err})
	}
	a.graph.features[f.Key()] = f
}

// checkTables refuses features whose tables would have one name.
func (a *assembly) checkTables() {
	tables := map[string]Key{}
	for _, d := range a.graph.defs {
		table := d.Spec.Key.Table()
		if other, taken := tables[table]; taken {
			a.fail(d.Spec.Key, "", errCollision, "shares the table name %q with feature %q; rename one of them", table, other)
		}
		tables[table] = d.Spec.Key
	}
}

// link connects every feature with its parents.
func (a *assembly) link() {
	for _, d := range a.graph.defs {
		f := a.graph.features[d.Spec.Key]
		for _, dep := range f.spec.Deps {
			parent, ok := a.graph.features[dep.Feature]
			if !ok {
				a.missing(f, dep.Feature)
				continue
			}
			f.parents = append(f.parents, Parent{Dep: dep, Feature: parent})
			f.byKey[dep.Feature] = parent
		}
	}
}

// missing reports a parent that is not in the graph, unless the feature's versions do not need it.
func (a *assembly) missing(f *Feature, parent Key) {
	if f.overridden() {
		return
	}
	hint := ""
	if a.hints < maxHints {
		hint = didYouMean(string(parent), a.graph.keys())
		a.hints++
	}
	a.fail(f.Key(), "", ErrUnknown, "depends on feature %q, which is not in the graph%s", parent, hint)
}

// overridden reports whether the versions of all fields are given.
func (f *Feature) overridden() bool {
	for _, field := range f.spec.Fields {
		if _, ok := f.override(field.Key); !ok {
			return false
		}
	}
	return f.external && len(f.spec.Fields) > 0
}

func (f *Feature) override(field Key) (string, bool) {
	if !f.external {
		return "", false
	}
	version, ok := f.overrides[field]
	return version, ok
}
