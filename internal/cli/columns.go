package cli

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A columnText describes a column for people.
type columnText struct {
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Description *string `json:"description"`
	System      bool    `json:"system"`
}

// columnsOf are the columns of the table if there is one, else those of the schema, else the id columns; each with the
// description that the schema has for it.
func columnsOf(f *feature.Feature, snap store.Snapshot) []columnText {
	declared := schemaColumns(f.Schema())
	if snap == nil {
		if len(declared) == 0 {
			for _, id := range f.Spec().IDColumns {
				declared = append(declared, columnText{Name: id, Type: "unknown"})
			}
		}
		return append([]columnText{}, declared...)
	}
	columns := []columnText{}
	for _, have := range snap.Schema().Fields() {
		c := columnText{Name: have.Name, Type: store.TypeName(have.Type), System: feature.IsSystemColumn(have.Name)}
		if i := slices.IndexFunc(declared, func(d columnText) bool { return d.Name == have.Name }); i >= 0 {
			c.Description = declared[i].Description
		}
		columns = append(columns, c)
	}
	return columns
}

// schemaColumns reads the properties of a JSON schema, by name.
func schemaColumns(schema json.RawMessage) []columnText {
	type property struct {
		Type        json.RawMessage `json:"type"`
		Format      string          `json:"format"`
		Description *string         `json:"description"`
		AnyOf       []property      `json:"anyOf"`
	}
	var s struct {
		Properties map[string]property `json:"properties"`
	}
	if err := json.Unmarshal(schema, &s); err != nil {
		return nil
	}
	var columns []columnText
	for name, p := range s.Properties {
		c := columnText{Name: name, Type: "unknown", Description: p.Description, System: feature.IsSystemColumn(name)}
		for _, option := range append(p.AnyOf, p) {
			var t string
			if json.Unmarshal(option.Type, &t) == nil && t != "null" {
				c.Type = t
				if option.Format != "" {
					c.Type = option.Format
				}
			}
		}
		columns = append(columns, c)
	}
	slices.SortFunc(columns, func(a, b columnText) int { return cmp.Compare(a.Name, b.Name) })
	return columns
}

// A columnLineage says which parent columns a column comes from.
type columnLineage struct {
	Column string      `json:"column"`
	From   []columnRef `json:"from"`
}

type columnRef struct {
	Feature feature.Key `json:"feature"`
	Column  string      `json:"column"`
}

// lineageOf relates columns to those of the parents as Metaxy does: ids, renamed columns, columns of one name, and the
// versions, which come from every parent. Sorted by column.
func lineageOf(f *feature.Feature, snap store.Snapshot) []columnLineage {
	from := map[string][]columnRef{}
	add := func(column string, p feature.Parent, source string) {
		ref := columnRef{p.Feature.Key(), source}
		if !slices.Contains(from[column], ref) {
			from[column] = append(from[column], ref)
		}
	}
	own := map[string]bool{}
	for _, c := range columnsOf(f, snap) {
		own[c.Name] = !c.System
	}
	for _, p := range f.Parents() {
		for _, id := range idLineage(f, p) {
			add(renamed(p.Dep, id), p, id)
		}
		for source, name := range p.Dep.Rename {
			if own[name] {
				add(name, p, source)
			}
		}
		for _, c := range columnsOf(p.Feature, nil) {
			if own[c.Name] && renamed(p.Dep, c.Name) == c.Name && !c.System {
				add(c.Name, p, c.Name)
			}
		}
		for _, c := range []string{
			feature.ColProvenance, feature.ColProvenanceByField, feature.ColDataVersion, feature.ColDataVersionByField,
		} {
			add(c, p, c)
		}
	}
	lineage := []columnLineage{}
	for column, refs := range from {
		lineage = append(lineage, columnLineage{column, refs})
	}
	slices.SortFunc(lineage, func(a, b columnLineage) int { return cmp.Compare(a.Column, b.Column) })
	return lineage
}

// idLineage are the parent's columns, by their own names, that become id columns of the feature.
func idLineage(f *feature.Feature, p feature.Parent) []string {
	ids := p.Feature.Spec().IDColumns
	var relate []string // by names after renaming
	switch p.Dep.Lineage.Kind {
	case feature.ManyToOne:
		if relate = p.Dep.Lineage.On; relate == nil {
			relate = f.Spec().IDColumns
		}
	case feature.OneToMany:
		relate = p.Dep.Lineage.On
	default:
		var out []string
		for _, id := range ids {
			if slices.Contains(f.Spec().IDColumns, renamed(p.Dep, id)) {
				out = append(out, id)
			}
		}
		return out
	}
	var out []string
	for _, name := range relate {
		out = append(out, original(p.Dep, name))
	}
	return out
}

func renamed(d feature.Dep, column string) string {
	if to, ok := d.Rename[column]; ok {
		return to
	}
	return column
}

func original(d feature.Dep, column string) string {
	for from, to := range d.Rename {
		if to == column {
			return from
		}
	}
	return column
}
