package cli

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// rowFormats are the formats of commands that return rows.
var rowFormats = []string{"jsonl", "json", "csv", "parquet", "table"}

// A rowWriter writes rows in one format.
type rowWriter interface {
	// Write adds rows. All batches have the columns of the writer's schema by name and order; a column may come with
	// the null type.
	Write(rec arrow.RecordBatch) error
	// Close writes the rest.
	Close() error
}

// newRowWriter returns the writer of a format; "" is a table on a terminal and JSON lines elsewhere.
func newRowWriter(format string, w io.Writer, schema *arrow.Schema, tty bool) (rowWriter, error) {
	if format == "" {
		format = "jsonl"
		if tty {
			format = "table"
		}
	}
	switch format {
	case "jsonl":
		return &jsonWriter{w: w, after: "\n"}, nil
	case "json":
		return &jsonWriter{w: w, before: "[", between: ",\n ", last: "]\n"}, nil
	case "csv":
		c := &csvWriter{w: csv.NewWriter(w)}
		return c, c.w.Write(names(schema))
	case "parquet":
		return newParquetWriter(w, schema)
	case "table":
		return newTableWriter(w, schema), nil
	}
	return nil, unknownFormat(format, rowFormats)
}

func unknownFormat(format string, known []string) error {
	return setupf("--format %q: expected %s", format, strings.Join(known, ", "))
}

// checkRowFormat refuses an unknown format before any work is done.
func checkRowFormat(format string) error {
	if format != "" && !slices.Contains(rowFormats, format) {
		return unknownFormat(format, rowFormats)
	}
	return nil
}

func names(s *arrow.Schema) []string {
	out := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		out[i] = f.Name
	}
	return out
}
