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

// Where the columns of a description come from.
const (
	fromTable  = "table"
	fromSchema = "schema"
	fromSpec   = "spec"
)

// columnsOf are the columns of the table if there is one, else those of the schema, else the id columns; the latter two
// with the system columns that every table has. Each has the description that the schema has for it.
func columnsOf(f *feature.Feature, snap store.Snapshot) (columns []columnText, from string) {
	declared, from := schemaColumns(f.Schema()), fromSchema
	if len(declared) == 0 {
		from = fromSpec
		for _, id := range f.Spec().IDColumns {
			declared = append(declared, columnText{Name: id, Type: "unknown"})
		}
	}
	for _, c := range systemColumns() {
		if i := slices.IndexFunc(declared, func(d columnText) bool { return d.Name == c.Name }); i < 0 {
			declared = append(declared, c)
		} else if declared[i].Description == nil {
			declared[i].Description = c.Description
		}
	}
	if snap == nil {
		return declared, from
	}
	for _, have := range snap.Schema().Fields() {
		c := columnText{Name: have.Name, Type: store.TypeName(have.Type), System: feature.IsSystemColumn(have.Name)}
		if i := slices.IndexFunc(declared, func(d columnText) bool { return d.Name == have.Name }); i >= 0 {
			c.Description = declared[i].Description
		}
		columns = append(columns, c)
	}
	return columns, fromTable
}

// systemColumns are the columns that every table has, in Metaxy's words.
func systemColumns() []columnText {
	var columns []columnText
	for _, c := range [][3]string{
		{feature.ColProvenanceByField, "struct", "Field-level provenance hashes (maps field names to hashes)"},
		{feature.ColProvenance, "string", "Hash of metaxy_provenance_by_field"},
		{feature.ColDataVersionByField, "struct", "Field-level data version hashes (maps field names to version hashes)"},
		{feature.ColDataVersion, "string", "Hash of metaxy_data_version_by_field"},
		{feature.ColFeatureVersion, "string", "Hash of the feature definition (dependencies + fields + code_versions)"},
		{feature.ColProjectVersion, "string", "Hash of the entire feature graph project version"},
		{feature.ColCreatedAt, "timestamp", "Timestamp when the metadata row was created (UTC)"},
		{feature.ColUpdatedAt, "timestamp", "Timestamp when the row was written; the newest row of a sample counts (UTC)"},
		{feature.ColDeletedAt, "timestamp", "Timestamp when the sample was deleted; null while it is live (UTC)"},
		{feature.ColMaterializationID, "string", "External orchestration run ID (e.g., Dagster Run ID)"},
	} {
		columns = append(columns, columnText{Name: c[0], Type: c[1], Description: &c[2], System: true})
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
func lineageOf(f *feature.Feature, tables map[feature.Key]store.Snapshot) []columnLineage {
	from := map[string][]columnRef{}
	add := func(column string, p feature.Parent, source string) {
		ref := columnRef{p.Feature.Key(), source}
		if !slices.Contains(from[column], ref) {
			from[column] = append(from[column], ref)
		}
	}
	own := map[string]bool{}
	columns, _ := columnsOf(f, tables[f.Key()])
	for _, c := range columns {
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
		theirs, _ := columnsOf(p.Feature, tables[p.Feature.Key()])
		for _, c := range theirs {
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

// idLineage are the parent's id columns, by their own names, that become id columns of the feature: all that have their
// names, or those of them that the lineage relates.
func idLineage(f *feature.Feature, p feature.Parent) []string {
	relate := f.Spec().IDColumns // by names after renaming
	if on := p.Dep.Lineage.On; p.Dep.Lineage.Kind != feature.OneToOne && on != nil {
		relate = on
	}
	var out []string
	for _, name := range relate {
		id := original(p.Dep, name)
		if slices.Contains(f.Spec().IDColumns, name) && slices.Contains(p.Feature.Spec().IDColumns, id) {
			out = append(out, id)
		}
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
