package cli

import (
	"encoding/csv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// csvWriter writes null as an empty cell, and what has no text of its own as JSON.
type csvWriter struct {
	w   *csv.Writer
	row []string
}

func (c *csvWriter) Write(rec arrow.RecordBatch) error {
	e := rowjson.NewEncoder(rec.Schema())
	for i := range int(rec.NumRows()) {
		c.row = c.row[:0]
		for col := range rec.Columns() {
			c.row = append(c.row, cell(e, rec, col, i))
		}
		if err := c.w.Write(c.row); err != nil {
			return err
		}
	}
	return nil
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

// cell is a value as text: strings, times and bytes as in JSON but without quotes.
func cell(e *rowjson.Encoder, rec arrow.RecordBatch, col, i int) string {
	arr := rec.Column(col)
	if arr.IsNull(i) || arr.DataType().ID() == arrow.NULL {
		return ""
	}
	if s, ok := arr.(interface{ Value(int) string }); ok {
		return s.Value(i)
	}
	one := e.AppendColumn(nil, rec, col, i)
	if one[0] == '"' {
		return string(one[1 : len(one)-1])
	}
	return string(one)
}
