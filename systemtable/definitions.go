package systemtable

import (
	"errors"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A Selection names features of a store. The zero value names none.
type Selection struct {
	// All names every feature.
	All bool
	// Projects names the features of these projects.
	Projects []string
	// Keys names these features.
	Keys []feature.Key
}

func (s Selection) has(r *Row) bool {
	return s.All || slices.Contains(s.Projects, r.Project) || slices.Contains(s.Keys, r.Feature)
}

// Definitions makes the features of a snapshot, and of the features of other projects that these depend on, as external
// features. Rows that make no feature are left out; the error joins one for each.
func (t *Table) Definitions(s Snapshot) ([]feature.Definition, error) {
	return t.define(t.rows(s), s.Project, nil)
}

// Latest makes the newest definition of each selected feature, whichever project recorded it, and of all that these
// depend on. Those of other projects than the given one are external features. What the given definitions have already
// is not looked for, unless it is external there. Rows that make no feature are left out; the error joins one for each.
func (t *Table) Latest(project string, s Selection, have []feature.Definition) ([]feature.Definition, error) {
	newest := t.newest(func(*Row) bool { return true })
	return t.define(slices.DeleteFunc(newest, func(r *Row) bool { return !s.has(r) }), project, have)
}

// define makes features of rows and of the newest rows of what they depend on.
func (t *Table) define(rows []*Row, project string, have []feature.Definition) ([]feature.Definition, error) {
	known := map[feature.Key]bool{}
	for _, d := range have {
		known[d.Spec.Key] = known[d.Spec.Key] || !d.External
	}
	newest := map[feature.Key]*Row{}
	for _, r := range t.newest(func(*Row) bool { return true }) {
		newest[r.Feature] = r
	}
	var defs []feature.Definition
	var problems []error
	for len(rows) > 0 {
		var next []*Row
		for _, r := range rows {
			if known[r.Feature] {
				continue
			}
			known[r.Feature] = true
			d, err := r.Definition()
			if err != nil {
				problems = append(problems, err)
				continue
			}
			d.External = d.Project != project
			defs = append(defs, d)
			for _, dep := range d.Spec.Deps {
				if parent := newest[dep.Feature]; parent != nil && !known[dep.Feature] {
					next = append(next, parent)
				}
			}
		}
		rows = next
	}
	return defs, errors.Join(problems...)
}
