package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// tableWriter draws a table for people. It holds all rows.
type tableWriter struct {
	w io.Writer
	t table.Writer
}

func newTableWriter(w io.Writer, schema *arrow.Schema) rowWriter {
	t := newTable()
	header := table.Row{}
	for _, name := range names(schema) {
		header = append(header, printable(name))
	}
	t.AppendHeader(header)
	return &tableWriter{w: w, t: t}
}

// newTable is a table in the style of all our tables.
func newTable() table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = 0
	return t
}

const widestCell = 60

func (t *tableWriter) Write(rec arrow.RecordBatch) error {
	e := rowjson.NewEncoder(rec.Schema())
	for i := range int(rec.NumRows()) {
		row := table.Row{}
		for col := range rec.Columns() {
			row = append(row, shorten(strings.ReplaceAll(printable(cell(e, rec, col, i)), "\n", "⏎"), widestCell))
		}
		t.t.AppendRow(row)
	}
	return nil
}

func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

func (t *tableWriter) Close() error {
	_, err := fmt.Fprintln(t.w, t.t.Render())
	return err
}
