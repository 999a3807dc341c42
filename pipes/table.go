package pipes

import (
	"encoding/json"
	"errors"
	"fmt"
)

// A Column describes a column of a table.
type Column struct {
	// Name is the column's name; it may be "".
	Name string
	// Type is the type's name in any system; "" means "string", as in Dagster.
	Type string
	// Description is shown beside the column; "" means none.
	Description string
	// Tags are the column's tags; nil means none.
	Tags map[string]string
	// Required columns hold no nulls; false means that they may.
	Required bool
	// Unique columns hold no value twice; false means that they may.
	Unique bool
	// Constraints are further constraints, in words; nil means none.
	Constraints []string
}

// MarshalJSON writes the column as Dagster reads it; what has its default is left out.
func (c Column) MarshalJSON() ([]byte, error) {
	o := map[string]any{"name": c.Name, "type": c.Type}
	if c.Type == "" {
		o["type"] = "string"
	}
	if c.Description != "" {
		o["description"] = c.Description
	}
	if len(c.Tags) > 0 {
		o["tags"] = c.Tags
	}
	if c.Required || c.Unique || len(c.Constraints) > 0 {
		other := c.Constraints
		if other == nil {
			other = []string{}
		}
		o["constraints"] = map[string]any{"nullable": !c.Required, "unique": c.Unique, "other": other}
	}
	return marshal(o)
}

// TableSchema is the list of a table's columns.
func TableSchema(columns ...Column) Value {
	return jsonValue("table_schema", map[string]any{"columns": nonNil(columns)}, checkColumns(columns))
}

// Table is a few rows of a table, by column name. Cells are strings, numbers, booleans, times or nil. A row need not
// have all columns and may not have others.
func Table(columns []Column, cells []map[string]any) Value {
	if err := checkColumns(columns); err != nil {
		return Value{kind: "table", err: err}
	}
	names := make(map[string]bool, len(columns))
	for _, c := range columns {
		names[c.Name] = true
	}
	records := make([]map[string]json.RawMessage, len(cells))
	for i, row := range cells {
		records[i] = make(map[string]json.RawMessage, len(row))
		for name, cell := range row {
			if !names[name] {
				return Value{kind: "table", err: fmt.Errorf("row %d has a column %q that is not in the schema", i, name)}
			}
			raw, err := scalarRaw(cell)
			if err != nil {
				return Value{kind: "table", err: fmt.Errorf("row %d, column %q: %w", i, name, err)}
			}
			records[i][name] = raw
		}
	}
	rows := tableRows{columns: nonNil(columns), records: records}
	return rows.value(len(records))
}

// tableRows is what a table is made of.
type tableRows struct {
	columns []Column
	records []map[string]json.RawMessage
	shown   int
}

// value returns a table of the first n rows.
func (r tableRows) value(n int) Value {
	v := jsonValue("table", map[string]any{"records": r.records[:n], "schema": r.columns}, nil)
	r.shown = n
	v.rows = &r
	return v
}

// withRows returns the table with its first n rows.
func (v Value) withRows(n int) Value {
	return v.rows.value(n)
}

// A ColumnSource is a column that another one is computed from.
type ColumnSource struct {
	// Asset is the key of the source's asset, in parts; nil is refused.
	Asset []string
	// Column is the name of the source's column; "" is refused.
	Column string
}

// MarshalJSON writes the source as Dagster reads it.
func (s ColumnSource) MarshalJSON() ([]byte, error) {
	return marshal(map[string]any{"asset_key": s.Asset, "column_name": s.Column})
}

// ColumnLineage says for columns of an asset what they are computed from.
func ColumnLineage(sources map[string][]ColumnSource) Value {
	deps := make(map[string][]ColumnSource, len(sources))
	var errs []error
	for column, list := range sources {
		deps[column] = nonNil(list)
		errs = append(errs, checkText("column name", column))
		for _, s := range list {
			if len(s.Asset) == 0 || s.Column == "" {
				errs = append(errs, fmt.Errorf("column %q has a source without asset or column", column))
			}
			for _, text := range append([]string{s.Column}, s.Asset...) {
				errs = append(errs, checkText("column source", text))
			}
		}
	}
	return jsonValue("table_column_lineage", map[string]any{"deps_by_column": deps}, errors.Join(errs...))
}

// checkColumns refuses a column that is there twice or has text that is not UTF-8.
func checkColumns(columns []Column) error {
	seen := make(map[string]bool, len(columns))
	var errs []error
	for _, c := range columns {
		if seen[c.Name] {
			errs = append(errs, fmt.Errorf("column %q is there twice", c.Name))
		}
		seen[c.Name] = true
		texts := append([]string{c.Name, c.Type, c.Description}, c.Constraints...)
		for tag, value := range c.Tags {
			texts = append(texts, tag, value)
		}
		for _, text := range texts {
			errs = append(errs, checkText("column", text))
		}
	}
	return errors.Join(errs...)
}

// nonNil returns list, or an empty one for nil, since Dagster refuses null.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// jsonValue encodes v as a value of the given kind, unless err says that it cannot be.
func jsonValue(kind string, v any, err error) Value {
	if err != nil {
		return Value{kind: kind, err: err}
	}
	raw, err := marshal(v)
	return Value{kind: kind, raw: raw, err: err}
}
