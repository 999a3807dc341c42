package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A frame is a set of columns that are fetched when they are asked for.
type frame struct {
	schema  *arrow.Schema
	columns []frameColumn
}

// A frameColumn says where the values of a column come from.
type frameColumn struct {
	from    []fetchColumn // the first source that a row has an entry of gives the value; none at all: null
	version bool          // computed from the sources' versions
	flag    bool          // whether a condition of staleness holds
}

// A fetchColumn is a stored column of a source.
type fetchColumn struct {
	source int
	stored string
}

// A frameBuilder collects the columns of a frame.
type frameBuilder struct {
	fields  []arrow.Field
	columns []frameColumn
}

func (b *frameBuilder) has(name string) bool {
	return slices.ContainsFunc(b.fields, func(f arrow.Field) bool { return f.Name == name })
}

func (b *frameBuilder) add(name string, t arrow.DataType, c frameColumn) {
	b.fields = append(b.fields, arrow.Field{Name: name, Type: t, Nullable: true})
	b.columns = append(b.columns, c)
}

// build returns the frame with the ids first.
func (b *frameBuilder) build(ids []string) frame {
	var out frameBuilder
	for _, first := range []bool{true, false} {
		if first {
			for _, id := range ids {
				for i, f := range b.fields {
					if f.Name == id {
						out.add(f.Name, f.Type, b.columns[i])
					}
				}
			}
			continue
		}
		for i, f := range b.fields {
			if !slices.Contains(ids, f.Name) {
				out.add(f.Name, f.Type, b.columns[i])
			}
		}
	}
	return frame{schema: arrow.NewSchema(out.fields, nil), columns: out.columns}
}

// planFrames plans the columns of expected and of orphaned samples.
func (p *plan) planFrames(target store.Snapshot) {
	var b frameBuilder
	if p.given() {
		p.addSampleColumns(&b)
	} else {
		p.addParentColumns(&b)
	}
	p.expected = b.build(idColumns(p.feature))
	p.stored = p.expected
	if target != nil {
		p.stored = storedFrame(target, idColumns(p.feature))
		if len(p.target.flags) > 0 {
			p.stored = p.stored.with(flagColumn, arrow.FixedWidthTypes.Boolean, frameColumn{flag: true})
		}
	}
}

// flagColumn is what Metaxy calls the column that tells whether a condition of staleness holds for an orphaned sample.
const flagColumn = "__stale_by_predicate"

// with returns the frame with one more column at the end.
func (f *frame) with(name string, t arrow.DataType, c frameColumn) frame {
	b := frameBuilder{fields: f.schema.Fields(), columns: slices.Clone(f.columns)}
	b.add(name, t, c)
	return frame{schema: arrow.NewSchema(b.fields, nil), columns: b.columns}
}

// addParentColumns gathers the columns of all parents. Each join column is there once, and so are those that are
// always null: the first parent's metaxy_deleted_at, and the one that Metaxy carries along from a second parent.
func (p *plan) addParentColumns(b *frameBuilder) {
	for _, i := range p.order {
		for _, c := range p.sources[i].columns {
			switch {
			case c.stored != "" && !b.has(c.name):
				typ, from := p.joinColumn(c, fetchColumn{i, c.stored})
				b.add(c.name, typ, from)
			case c.stored == "" && !b.has(c.name):
				b.add(c.name, c.typ, frameColumn{})
			case c.stored == "" && c.name == feature.ColDeletedAt && !b.has(nullRight):
				b.add(nullRight, c.typ, frameColumn{})
			}
		}
	}
	byField := p.byFieldType()
	b.add(feature.ColProvenanceByField, byField, frameColumn{version: true})
	b.add(feature.ColProvenance, arrow.BinaryTypes.String, frameColumn{version: true})
	b.add(feature.ColDataVersion, arrow.BinaryTypes.String, frameColumn{version: true})
	b.add(feature.ColDataVersionByField, byField, frameColumn{version: true})
}

// joinColumn says where the values of a parent's column come from: a join column's from whichever parent has a row. Its
// type holds the values of all of these.
func (p *plan) joinColumn(c sourceColumn, only fetchColumn) (arrow.DataType, frameColumn) {
	for _, k := range p.join {
		if k.name == c.name {
			typ := c.typ
			var out frameColumn
			for _, from := range k.from {
				if len(out.from) > 0 && !p.sources[k.from[0].source].optional {
					break // a required parent has a row of every sample
				}
				other, _ := p.sources[from.source].column(c.name)
				typ = wider(typ, other.typ)
				out.from = append(out.from, fetchColumn{from.source, p.sources[from.source].scan.keys[from.key]})
			}
			return typ, out
		}
	}
	return c.typ, frameColumn{from: []fetchColumn{only}}
}

func (p *plan) byFieldType() arrow.DataType {
	fields := make([]arrow.Field, len(p.versions.output))
	for i, f := range p.versions.output {
		fields[i] = arrow.Field{Name: p.versions.fields[f].member, Type: arrow.BinaryTypes.String, Nullable: true}
	}
	return arrow.StructOf(fields...)
}

// addSampleColumns takes the columns of the given samples. Their metaxy_provenance is computed again; data versions
// are those of the samples if these have them by field, else the provenance.
func (p *plan) addSampleColumns(b *frameBuilder) {
	var byField arrow.DataType
	overridden := false
	for _, c := range p.sources[0].columns {
		overridden = overridden || c.name == feature.ColDataVersionByField
		if c.name == feature.ColProvenanceByField {
			byField = c.typ
		}
	}
	computed := []string{feature.ColProvenanceByField, feature.ColProvenance}
	if !overridden {
		computed = versionColumns()
	}
	for _, c := range p.sources[0].columns {
		if !slices.Contains(computed, c.name) {
			b.add(c.name, c.typ, frameColumn{from: []fetchColumn{{0, c.stored}}})
		}
	}
	given := frameColumn{from: []fetchColumn{{0, feature.ColProvenanceByField}}}
	for _, name := range computed {
		switch name {
		case feature.ColProvenanceByField, feature.ColDataVersionByField:
			b.add(name, byField, given)
		default:
			b.add(name, arrow.BinaryTypes.String, frameColumn{version: true})
		}
	}
}

// storedFrame is a table's own columns, ids first.
func storedFrame(snap store.Snapshot, ids []string) frame {
	var b frameBuilder
	for _, f := range snap.Schema().Fields() {
		b.add(f.Name, f.Type, frameColumn{from: []fetchColumn{{0, f.Name}}})
	}
	return b.build(ids)
}

// pick returns the frame with the named columns only, in that order; nil means all.
func (f *frame) pick(names []string) (frame, error) {
	if names == nil {
		return *f, nil
	}
	var b frameBuilder
	for _, name := range names {
		i := f.schema.FieldIndices(name)
		if len(i) == 0 {
			return frame{}, fmt.Errorf("%w: there is no column %q; there are %q", ErrPlan, name, fieldNames(f.schema))
		}
		b.add(name, f.schema.Field(i[0]).Type, f.columns[i[0]])
	}
	return frame{schema: arrow.NewSchema(b.fields, nil), columns: b.columns}, nil
}

func fieldNames(s *arrow.Schema) []string {
	out := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		out[i] = f.Name
	}
	return out
}

// A fetcher gives rows by reference: a snapshot, or samples.
type fetcher interface {
	Fetch(ctx context.Context, rows []store.RowRef, columns []string) (arrow.RecordBatch, error)
}
