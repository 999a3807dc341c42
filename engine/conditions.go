package engine

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/filter"
)

// Conditions are conditions on the rows of one source.
type conditions []condition

// A condition is bound to the columns of a source. It may know them by other names than the source does.
type condition struct {
	expr    *filter.Expr
	columns []sourceColumn // those that it looks at
}

// bindConditions parses conditions on columns of what is called name in messages. Without columns, because there is no
// table, they are only parsed.
func bindConditions(kind, name string, texts []string, columns []sourceColumn) (conditions, error) {
	var out conditions
	for _, text := range texts {
		expr, err := filter.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s %q on %s: %w", ErrPlan, kind, text, name, err)
		}
		if columns == nil {
			continue
		}
		c := condition{expr: expr}
		for _, want := range expr.Columns() {
			i := slices.IndexFunc(columns, func(have sourceColumn) bool { return have.name == want })
			if i < 0 {
				return nil, fmt.Errorf("%w: %s %q on %s: there is no column %q; there are %q",
					ErrPlan, kind, text, name, want, columnNames(columns))
			}
			c.columns = append(c.columns, columns[i])
		}
		if err := expr.Check(c.schema()); err != nil {
			return nil, fmt.Errorf("%w: %s on %s: %w", ErrPlan, kind, name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (c *condition) schema() *arrow.Schema {
	fields := make([]arrow.Field, len(c.columns))
	for i, column := range c.columns {
		fields[i] = arrow.Field{Name: column.name, Type: column.typ, Nullable: true}
	}
	return arrow.NewSchema(fields, nil)
}

// view is a batch of the source with the columns that the condition looks at, by the names that it knows.
func (c *condition) view(rec arrow.RecordBatch) arrow.RecordBatch {
	fields, cols := make([]arrow.Field, len(c.columns)), make([]arrow.Array, len(c.columns))
	for i, column := range c.columns {
		cols[i] = columnOf(rec, column.stored)
		fields[i] = arrow.Field{Name: column.name, Type: cols[i].DataType(), Nullable: true}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows())
}

// columns are the stored columns that the conditions look at.
func (cs conditions) columns() []string {
	var out []string
	for _, c := range cs {
		for _, column := range c.columns {
			out = append(out, column.stored)
		}
	}
	return distinct(out)
}

// all marks the rows for which all conditions hold.
func (cs conditions) all(rec arrow.RecordBatch) (bitmap, error) {
	return cs.mark(rec, func(held, holds bool) bool { return held && holds })
}

// any marks the rows for which any condition holds.
func (cs conditions) any(rec arrow.RecordBatch) (bitmap, error) {
	return cs.mark(rec, func(held, holds bool) bool { return held || holds })
}

// column says of each row whether any condition holds: true if one does, else null if one is unknown.
func (cs conditions) column(rec arrow.RecordBatch) (arrow.Array, error) {
	out := array.NewBooleanBuilder(memory.DefaultAllocator)
	truths := make([]*array.Boolean, len(cs))
	for i := range cs {
		var err error
		if truths[i], err = cs[i].expr.Truth(cs[i].view(rec)); err != nil {
			return nil, err
		}
	}
	for row := range int(rec.NumRows()) {
		holds := func(t *array.Boolean) bool { return t.IsValid(row) && t.Value(row) }
		switch {
		case slices.ContainsFunc(truths, holds):
			out.Append(true)
		case slices.ContainsFunc(truths, func(t *array.Boolean) bool { return t.IsNull(row) }):
			out.AppendNull()
		default:
			out.Append(false)
		}
	}
	return out.NewArray(), nil
}

func (cs conditions) mark(rec arrow.RecordBatch, and func(held, holds bool) bool) (bitmap, error) {
	if len(cs) == 0 {
		return bitmap{}, nil
	}
	marks, err := cs[0].expr.Match(cs[0].view(rec))
	for _, c := range cs[1:] {
		var more []bool
		if err == nil {
			more, err = c.expr.Match(c.view(rec))
		}
		for i := range more {
			marks[i] = and(marks[i], more[i])
		}
	}
	if err != nil {
		return bitmap{}, err
	}
	out := bitmap{bits: make([]byte, bitutil.BytesForBits(int64(len(marks))))}
	for i, m := range marks {
		bitutil.SetBitTo(out.bits, i, m)
	}
	return out, nil
}

// parentConditions binds the filters on a parent: those of the options by the names that the columns have in the table,
// then the dependency's own by the names that they have in the child.
func (p *plan) parentConditions(parent feature.Parent, name string, table *arrow.Schema) (conditions, error) {
	var stored, renamed []sourceColumn
	if table != nil {
		stored, renamed = tableColumns(table), dependencyColumns(parent, table)
	}
	texts := slices.Concat(p.options.Filters[parent.Feature.Key()], p.options.GlobalFilters)
	runtime, err := bindConditions("filter", name, texts, stored)
	if err != nil {
		return nil, err
	}
	own, err := bindConditions("filter", name, parent.Dep.Filters, renamed)
	return slices.Concat(runtime, own), err
}

// dependencyColumns are a parent's columns as a dependency's filter knows them: renamed, and those of versions with the
// parent's suffix.
func dependencyColumns(parent feature.Parent, table *arrow.Schema) []sourceColumn {
	var out []sourceColumn
	for _, c := range tableColumns(table) {
		switch name, renamed := parent.Dep.Rename[c.name]; {
		case slices.Contains(versionColumns(), c.name):
			c.name += parent.Feature.Key().Suffix()
		case c.name != feature.ColDeletedAt && feature.IsSystemColumn(c.name):
			continue
		case renamed:
			c.name = name
		}
		out = append(out, c)
	}
	return out
}

// targetConditions binds the filters on stored and on given samples of the feature.
func (p *plan) targetConditions(name string, columns []sourceColumn) (conditions, error) {
	o := &p.options
	texts := slices.Concat(o.Filters[p.feature.Key()], o.GlobalFilters, o.TargetFilters)
	return bindConditions("filter", name, texts, columns)
}

// currentPrefix is what Metaxy puts before the names of the stored provenances where conditions of staleness see them.
const currentPrefix = "__current_"

// staleConditions binds the conditions that make stored samples stale. They know the stored provenances by Metaxy's names
// too.
func (p *plan) staleConditions(name string, columns []sourceColumn) (conditions, error) {
	for _, c := range columns {
		if c.name == feature.ColProvenance || c.name == feature.ColProvenanceByField {
			c.name = currentPrefix + c.name
			columns = append(columns, c)
		}
	}
	return bindConditions("staleness predicate", name, p.options.StaleIf, columns)
}
