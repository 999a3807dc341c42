package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

type readFlags struct {
	columns []string
	filters []string
	at      string
	limit   int64
	history bool
	deleted bool
	format  string
}

func (a *app) readCommand() *cobra.Command {
	var f readFlags
	cmd := &cobra.Command{
		Use:   "read FEATURE",
		Short: "Print the current rows of a feature",
		Long: "Prints the current row of each sample: the id columns, the other columns in table order, the system\n" +
			"columns. The number of rows is the last line on stderr.",
		Example: a.example("read video/crop --columns id,path --limit 10 --format table"),
		Args:    cobra.ExactArgs(1),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.read(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.columns, "columns", nil, "exactly these columns, in this order (default: all)")
	flags.StringArrayVar(&f.filters, "filter", nil, "keep the rows for which `EXPR` holds; may be repeated")
	flags.StringVar(&f.at, "at", "", "read an earlier `VERSION|TIME` of the table")
	flags.Int64Var(&f.limit, "limit", 0, "print at most `N` rows")
	flags.BoolVar(&f.history, "history", false, "every row ever written, of every feature version")
	flags.BoolVar(&f.deleted, "include-deleted", false, "soft-deleted samples too")
	flags.StringVar(&f.format, "format", "", strings.Join(rowFormats, ", ")+" (default: table on a terminal, else jsonl)")
	return cmd
}

func (a *app) read(ctx context.Context, log *slog.Logger, name string, flags readFlags) (err error) {
	if err := flags.check(); err != nil {
		return err
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	f, err := e.feature(name)
	if err != nil {
		return err
	}
	snap, err := e.Store.Snapshot(ctx, f.Key())
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Key(), err)
	}
	columns, err := readColumns(snap.Schema(), f, flags.columns)
	if err != nil {
		return err
	}
	o := engine.ReadOptions{
		Columns: columns, AllSamples: flags.history, AllFeatureVersions: flags.history, IncludeDeleted: flags.deleted,
	}
	rows, err := printRows(ctx, e, snap, f, o, flags)
	if err != nil {
		return fmt.Errorf("read %s: %w", f.Key(), err)
	}
	_, err = fmt.Fprintf(e.Stderr, "rows=%d\n", rows)
	return err
}

func (f readFlags) check() error {
	if f.limit < 0 {
		return setupf("--limit %d: expected 0 or more; 0 means all", f.limit)
	}
	if len(f.filters) > 0 {
		return setupf("read --filter: filters are evaluated by resolve only; read all rows and filter the output")
	}
	if f.at != "" {
		return setupf("read --at: only the newest version of a table can be read")
	}
	return checkRowFormat(f.format)
}

// readColumns are the columns to print: those asked for, else the ids, the others in table order, the system columns.
func readColumns(table *arrow.Schema, f *feature.Feature, asked []string) ([]string, error) {
	have := names(table)
	for _, name := range asked {
		if slices.Contains(have, name) {
			continue
		}
		hint := ""
		if near := config.Nearest(name, have); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return nil, setupf("--columns: the table of %s has no column %q%s", f.Key(), name, hint)
	}
	if len(asked) > 0 {
		return asked, nil
	}
	columns := slices.Clone(f.Spec().IDColumns)
	var last []string
	for _, name := range have {
		switch {
		case slices.Contains(columns, name) || feature.IsSystemColumn(name):
		case strings.HasPrefix(name, "metaxy_"):
			last = append(last, name)
		default:
			columns = append(columns, name)
		}
	}
	for _, name := range feature.SystemColumns() {
		if slices.Contains(have, name) {
			columns = append(columns, name)
		}
	}
	return append(columns, last...), nil
}

// printRows writes rows and returns how many they were.
func printRows(ctx context.Context, e *Env, snap store.Snapshot, f *feature.Feature, o engine.ReadOptions,
	flags readFlags) (n int64, err error) {
	schema, err := engine.ReadSchema(snap, f, o)
	if err != nil {
		return 0, err
	}
	held := &spool{}
	defer closing(held, &err)
	w, err := newRowWriter(flags.format, held, schema, terminal(e.Stdout))
	if err != nil {
		return 0, err
	}
	for rec, err := range engine.Read(ctx, snap, f, o) {
		if err != nil {
			return 0, err
		}
		if flags.limit > 0 {
			rec = rec.NewSlice(0, min(rec.NumRows(), flags.limit-n))
		}
		n += rec.NumRows()
		if err := w.Write(rec); err != nil {
			return 0, err
		}
		if flags.limit > 0 && n >= flags.limit {
			break
		}
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return n, held.Flush(e.Stdout)
}
