// Package preview picks what people see of a table beside an event: its columns and a few rows.
package preview

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// cellText is how many bytes of one cell are shown.
const cellText = 100

// A Column is a column and its type as Delta Lake names it.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A Preview is a few rows of a table. Versions and times are left out of them.
type Preview struct {
	// All are the columns of the table, the id columns first.
	All []Column `json:"columns"`
	// Shown are those of the rows.
	Shown []Column `json:"preview_columns"`
	// Records hold texts, numbers as json.Number, and null.
	Records []map[string]any `json:"preview"`
}

// Of shows the rows of a feature's table that the references name.
func Of(ctx context.Context, snap store.Snapshot, f *feature.Feature, refs []store.RowRef) (Preview, error) {
	p := Preview{Records: []map[string]any{}}
	schema, err := engine.ReadSchema(snap, f, engine.ReadOptions{})
	if err != nil {
		return p, err
	}
	var names []string
	for _, field := range schema.Fields() {
		c := Column{Name: field.Name, Type: store.TypeName(field.Type)}
		p.All = append(p.All, c)
		if !feature.IsSystemColumn(field.Name) {
			p.Shown, names = append(p.Shown, c), append(names, field.Name)
		}
	}
	if len(refs) == 0 {
		return p, nil
	}
	rec, err := snap.Fetch(ctx, refs, names)
	if err != nil {
		return p, err
	}
	for i := range int(rec.NumRows()) {
		p.Records = append(p.Records, row(rec, i))
	}
	return p, nil
}

func row(rec arrow.RecordBatch, i int) map[string]any {
	row := map[string]any{}
	for c, col := range rec.Columns() {
		row[rec.ColumnName(c)] = cell(col, i)
	}
	return row
}

func cell(col arrow.Array, i int) any {
	if col.IsNull(i) {
		return nil
	}
	text := rowjson.AppendValue(nil, col, i)
	var s string
	switch {
	case text[0] == '"' && json.Unmarshal(text, &s) == nil:
		return cut(s)
	case arrow.IsInteger(col.DataType().ID()), arrow.IsFloating(col.DataType().ID()):
		return json.Number(text)
	}
	return cut(string(text))
}

// cut shortens a text at the border of a character.
func cut(s string) string {
	if len(s) <= cellText {
		return s
	}
	return strings.ToValidUTF8(s[:cellText], "") + "…"
}
