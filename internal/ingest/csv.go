package ingest

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// csvSource is a CSV file with a header. An empty cell is null.
type csvSource struct {
	file
}

// Name implements Source.
func (s *csvSource) Name(row int64) string { return rowName(row) }

// Hint implements Source.
func (s *csvSource) Hint() string { return "" }

// Rows implements Source. A new column gets its type as one of JSON does, from how its cells look.
func (s *csvSource) Rows(ctx context.Context, table *arrow.Schema, _ []string) iter.Seq2[arrow.RecordBatch, error] {
	guess := s.objects(guessed)
	return rowsOf(ctx, rowjson.NewShape(table), nil, guess, func(schema *arrow.Schema) objectSeq {
		return s.objects(func(cell, column string) []byte {
			f, ok := store.Column(schema, column)
			if !ok {
				return []byte("null")
			}
			return typed(cell, f.Type)
		})
	})
}

// objects yields each row as an object, with the JSON values that a function makes of cells.
func (s *csvSource) objects(value func(cell, column string) []byte) objectSeq {
	return func(yield func([]byte, error) bool) {
		r := csv.NewReader(reader(s.file))
		r.ReuseRecord = true
		header, err := csvHeader(r)
		if err != nil {
			yield(nil, err)
			return
		}
		keys := make([][]byte, len(header))
		for i, name := range header {
			keys[i] = append(rowjson.AppendString(nil, name), ':')
		}
		var obj []byte
		for {
			row, err := r.Read()
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			obj = append(obj[:0], '{')
			for i, cell := range row {
				if i > 0 {
					obj = append(obj, ',')
				}
				obj = append(append(obj, keys[i]...), value(cell, header[i])...)
			}
			if !yield(append(obj, '}'), nil) {
				return
			}
		}
	}
}

func csvHeader(r *csv.Reader) ([]string, error) {
	first, err := r.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty; expected a header with the names of the columns")
	}
	if err != nil {
		return nil, err
	}
	header := slices.Clone(first)
	for i, name := range header {
		if name == "" {
			return nil, fmt.Errorf("the header has no name for column %d", i+1)
		}
		if slices.Contains(header[:i], name) {
			return nil, fmt.Errorf("the header names the column %q twice", name)
		}
	}
	return header, nil
}

// The texts that are taken for numbers: those of JSON. So 007 is a string.
var (
	integer  = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)
	fraction = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// guessed is the JSON value that a cell looks like. Versions by field are objects; elsewhere what looks like one is text.
func guessed(cell, column string) []byte {
	switch {
	case cell == "":
		return []byte("null")
	case rowjson.ByField(column) && json.Valid([]byte(cell)):
		return []byte(strings.TrimSpace(cell))
	case strings.EqualFold(cell, "true") || strings.EqualFold(cell, "false"):
		return []byte(strings.ToLower(cell))
	case integer.MatchString(cell), strings.ContainsAny(cell, ".eE") && fraction.MatchString(cell):
		return []byte(cell)
	}
	return rowjson.AppendString(nil, cell)
}

// typed is the JSON value of a cell in a column of a type.
func typed(cell string, t arrow.DataType) []byte {
	if cell == "" {
		return []byte("null")
	}
	switch t.ID() {
	case arrow.STRING, arrow.TIMESTAMP, arrow.DATE32, arrow.BINARY:
		return rowjson.AppendString(nil, cell)
	case arrow.BOOL:
		cell = strings.ToLower(cell)
	}
	// What is no JSON is left for the column to refuse.
	if !json.Valid([]byte(cell)) || strings.TrimSpace(cell) != cell {
		return rowjson.AppendString(nil, cell)
	}
	return []byte(cell)
}
