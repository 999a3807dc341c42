package engine

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// nullRight is the name under which Metaxy carries the second parent's metaxy_deleted_at along. Rows written by
// Metaxy have it as a column of their own. Like metaxy_deleted_at itself it is null in every expected sample.
const nullRight = feature.ColDeletedAt + "_right"

// addSources plans where expected samples come from.
func (p *plan) addSources(given *samples, snaps []store.Snapshot) error {
	if given != nil {
		name, columns := "the given samples", tableColumns(given.schema)
		filters, err := p.targetConditions(name, columns)
		if err != nil {
			return err
		}
		p.sources = []source{{
			name: name, samples: given, columns: columns,
			scan: tableScan{key: p.feature.Key(), byField: feature.ColProvenanceByField, filters: filters},
		}}
		p.order = []int{0}
		return nil
	}
	for i, parent := range p.feature.Parents() {
		var columns []sourceColumn
		var schema *arrow.Schema
		if snaps[i] != nil {
			var err error
			schema = snaps[i].Schema()
			if columns, err = parentColumns(p.feature, parent, schema); err != nil {
				return fmt.Errorf("parent %q: %w", parent.Feature.Key(), err)
			}
		}
		name := fmt.Sprintf("parent %q", parent.Feature.Key())
		filters, err := p.parentConditions(parent, name, schema)
		if err != nil {
			return err
		}
		p.sources = append(p.sources, source{
			name: name, columns: columns, optional: parent.Dep.Optional,
			scan: tableScan{key: parent.Feature.Key(), snap: snaps[i], version: parent.Feature.Version(),
				byField: feature.ColDataVersionByField, filters: filters},
		})
	}
	for _, optional := range []bool{false, true} {
		for i, s := range p.sources {
			if s.optional == optional && s.scan.snap != nil {
				p.order = append(p.order, i)
			}
		}
	}
	return p.checkCollisions()
}

func tableColumns(s *arrow.Schema) []sourceColumn {
	out := make([]sourceColumn, 0, s.NumFields())
	for _, f := range s.Fields() {
		out = append(out, sourceColumn{name: f.Name, stored: f.Name, typ: f.Type})
	}
	return out
}

// parentColumns are the columns that a parent gives to its child: its ids first, then the others in table order,
// renamed and selected. A selection keeps what the lineage needs: the ids, unless it names columns of its own.
func parentColumns(f *feature.Feature, parent feature.Parent, table *arrow.Schema) ([]sourceColumn, error) {
	ids := idColumns(parent.Feature)
	var all []sourceColumn
	for _, f := range readOrder(table, ids) {
		c := sourceColumn{name: f.Name, stored: f.Name, typ: f.Type}
		switch {
		case f.Name == feature.ColDeletedAt || f.Name == nullRight:
			c.stored = ""
		case feature.IsSystemColumn(f.Name):
			continue
		}
		all = append(all, c)
	}
	if err := renameColumns(all, parent.Dep.Rename); err != nil {
		return nil, err
	}
	if parent.Dep.Select == nil {
		return all, nil
	}
	needed := renamedIDs(parent)
	if len(parent.Dep.Lineage.On) > 0 {
		needed = parent.OutputIDs(f)
	}
	wanted := slices.Concat(parent.Dep.Select, needed)
	var out []sourceColumn
	for _, name := range distinct(wanted) {
		i := slices.IndexFunc(all, func(c sourceColumn) bool { return c.name == name })
		switch {
		case i >= 0:
			out = append(out, all[i])
		case !versionColumnOf(parent.Feature.Key(), name):
			return nil, fmt.Errorf("%w: there is no column %q to select; there are %q", ErrPlan, name, columnNames(all))
		}
	}
	return out, nil
}

// readOrder is the fields of a table with those of the ids first.
func readOrder(table *arrow.Schema, ids []string) []arrow.Field {
	var first, rest []arrow.Field
	for _, id := range ids {
		if f, ok := store.Column(table, id); ok {
			first = append(first, f)
		}
	}
	for _, f := range table.Fields() {
		if !slices.Contains(ids, f.Name) {
			rest = append(rest, f)
		}
	}
	return append(first, rest...)
}

// renameColumns gives columns their new names, in place.
func renameColumns(columns []sourceColumn, rename map[string]string) error {
	before := columnNames(columns)
	for old := range rename {
		if !slices.Contains(before, old) {
			return fmt.Errorf("%w: there is no column %q to rename; there are %q", ErrPlan, old, before)
		}
	}
	seen := make(map[string]string, len(columns))
	for i, c := range columns {
		if name, ok := rename[c.name]; ok {
			columns[i].name = name
		}
		if other, ok := seen[columns[i].name]; ok {
			return fmt.Errorf("%w: the columns %q and %q are both called %q after renaming",
				ErrPlan, other, c.name, columns[i].name)
		}
		seen[columns[i].name] = c.name
	}
	return nil
}

// renamedIDs are the parent's id columns by their names in the child.
func renamedIDs(parent feature.Parent) []string {
	ids := idColumns(parent.Feature)
	for i, id := range ids {
		if name, ok := parent.Dep.Rename[id]; ok {
			ids[i] = name
		}
	}
	return ids
}

// versionColumnOf reports whether name is one of the columns that carry a parent's versions while Metaxy joins. They
// may be selected, and never reach the expected samples.
func versionColumnOf(parent feature.Key, name string) bool {
	for _, c := range versionColumns() {
		if name == c+parent.Suffix() {
			return true
		}
	}
	return false
}

// versionColumns are the four columns of versions in the order in which expected samples have them.
func versionColumns() []string {
	return []string{
		feature.ColProvenanceByField, feature.ColProvenance, feature.ColDataVersion, feature.ColDataVersionByField,
	}
}

func columnNames(columns []sourceColumn) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		out[i] = c.name
	}
	return out
}

// checkCollisions refuses parents that would give two different columns one name.
func (p *plan) checkCollisions() error {
	join := p.joinNames()
	from, suffixes := make(map[string]string), make(map[string]string)
	for _, s := range p.sources {
		if other, ok := suffixes[s.scan.key.Suffix()]; ok {
			return fmt.Errorf("%w: the columns of %s and %s would both end in %q; rename one of the features",
				ErrPlan, other, s.name, s.scan.key.Suffix())
		}
		suffixes[s.scan.key.Suffix()] = s.name
		for _, c := range s.columns {
			if slices.Contains(join, c.name) || c.stored == "" {
				continue
			}
			if other, ok := from[c.name]; ok {
				return fmt.Errorf("%w: %s and %s both have a column %q; select or rename the columns of one of them",
					ErrPlan, other, s.name, c.name)
			}
			from[c.name] = s.name
		}
	}
	return nil
}
