package cli

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
)

type readFlags struct {
	columns []string
	filters []string
	at      string
	limit   int64
	history bool
	deleted bool
	format  string

	sampleHistory  bool
	featureHistory bool
	featureVersion string
}

func (a *app) readCommand() *cobra.Command {
	var f readFlags
	cmd := &cobra.Command{
		Use:   "read FEATURE",
		Short: "Print the current rows of a feature",
		Long: "Prints the current row of each sample: the id columns, the other columns in table order, the system\n" +
			"columns. The number of rows is the last line on stderr.",
		Example: a.example("read video/crop --columns id,path --limit 10 --format table"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.read(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.columns, "columns", nil, "exactly these columns, in this order (default: all)")
	flags.StringArrayVar(&f.filters, "filter", nil, "keep the rows for which `EXPR` holds; may be repeated")
	flags.StringVar(&f.at, "at", "", "the table as it was at a `VERSION|TIME`, such as 3 or 2026-01-31T12:00:00Z")
	flags.Int64Var(&f.limit, "limit", 0, "print at most `N` rows")
	flags.BoolVar(&f.history, "history", false, "every row ever written, of every feature version: both of the next two")
	flags.BoolVar(&f.sampleHistory, "sample-history", false, "every row of a sample, not the newest only")
	flags.BoolVar(&f.featureHistory, "feature-history", false, "rows of every feature version")
	flags.StringVar(&f.featureVersion, "feature-version", "", "rows of this `VERSION` of the feature instead of its own")
	flags.BoolVar(&f.deleted, "include-deleted", false, "soft-deleted samples too")
	flags.StringVar(&f.format, "format", "", strings.Join(rowFormats, ", ")+" (default: table on a terminal, else jsonl)")
	return cmd
}

func (a *app) read(ctx context.Context, log *slog.Logger, name string, flags readFlags) (err error) {
	if err := flags.check(); err != nil {
		return err
	}
	at, err := parseMoment("--at", flags.at)
	if err != nil {
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
	snap, err := at.snapshot(ctx, e.Store, f.Key())
	if err != nil {
		return e.missingTable(ctx, fmt.Errorf("read %s: %w", f.Key(), err), f)
	}
	if err := e.Hashing.Check(snap, f.Key()); err != nil {
		return err
	}
	columns, err := readColumns(snap.Schema(), f, flags.columns)
	if err != nil {
		return err
	}
	p := &reading{snap: snap, feature: f, columns: columns, flags: flags}
	rows, err := p.print(ctx, e.Stdout)
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
