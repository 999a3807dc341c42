// Command tablewriter writes a store whose tables other Delta readers are tested with, and reads tables back as JSON
// lines. The Python tests of interoperability run it; it is no part of the product.
//
//	tablewriter write LOCATION   writes the tables "types" and "history", and prints the rows of "types"
//	tablewriter read LOCATION FEATURE   prints a table's rows
//	tablewriter delete LOCATION FEATURE ID   takes the rows with an id out
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "tablewriter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: tablewriter write LOCATION | read LOCATION FEATURE | delete LOCATION FEATURE ID")
	}
	s, err := s3parquet.Open(ctx, args[1], s3parquet.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	switch {
	case args[0] == "write" && len(args) == 2:
		return write(ctx, s)
	case args[0] == "read" && len(args) == 3:
		return read(ctx, s, feature.Key(args[2]))
	case args[0] == "delete" && len(args) == 4:
		_, err := s.Delete(ctx, feature.Key(args[2]), store.Deletion{Where: []store.Equal{{Column: "id", Value: args[3]}},
			Predicate: "id = '" + args[3] + "'"})
		return err
	}
	return fmt.Errorf("unknown arguments %q", args)
}

// write makes the tables. "history" has thirteen commits, of which the tenth makes a checkpoint, and gets a column and
// a struct member on the way. "types" has every type, with nulls and extremes, sorted by its id.
func write(ctx context.Context, s *s3parquet.Store) error {
	w := store.Write{Rows: one(typesBatch()), SortedBy: []string{"id"}, Properties: map[string]string{"metaxy.test": "ü \"'"},
		Info: map[string]string{"run": "interop"}}
	if _, err := s.Append(ctx, "types", w); err != nil {
		return err
	}
	for n := range 13 {
		if _, err := s.Append(ctx, "history", store.Write{Rows: one(historyBatch(n))}); err != nil {
			return err
		}
	}
	return nil
}

func one(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
}

// read prints the rows of a table as JSON arrays, after a line with the column names.
func read(ctx context.Context, s *s3parquet.Store, key feature.Key) error {
	snap, err := s.Snapshot(ctx, key)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	names := make([]string, 0, snap.Schema().NumFields())
	for _, f := range snap.Schema().Fields() {
		names = append(names, f.Name)
	}
	if err := lines.Encode(names); err != nil {
		return err
	}
	for batch, err := range snap.Scan(ctx, store.Query{}) {
		if err != nil {
			return err
		}
		for row := range int(batch.NumRows()) {
			values := make([]any, batch.NumCols())
			for i := range values {
				values[i] = plain(batch.Column(i), row)
			}
			if err := lines.Encode(values); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}
