package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func (a *app) optimizeCommand() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "optimize [FEATURE…]",
		Short: "Merge the small files of tables into large sorted ones",
		Long: "Rewrites the small and the unsorted data files of each table into large ones that are sorted by the id columns,\n" +
			"so that reading costs less. No row changes or goes; older versions of a table keep their files until a vacuum.\n" +
			"Readers and writers may go on meanwhile. Sorting uses temporary files, below $TMPDIR, of about 2 GiB at most.\n" +
			"A run does a part of this by itself, see --no-optimize there.",
		Example: a.example("optimize", "optimize video/crop --format json"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.optimize(ctx, log, args, format)
		}),
	}
	formatFlag(cmd, &format, "table")
	return cmd
}

// An optimizedTable is what optimize says about one feature.
type optimizedTable struct {
	Feature      feature.Key `json:"feature"`
	Version      int64       `json:"version"`
	FilesRemoved int         `json:"files_removed"`
	FilesAdded   int         `json:"files_added"`
	BytesRemoved int64       `json:"bytes_removed"`
	BytesAdded   int64       `json:"bytes_added"`
	Rows         int64       `json:"rows"`
}

func (a *app) optimize(ctx context.Context, log *slog.Logger, args []string, format string) (err error) {
	format, err = a.chosenFormat(format, "table")
	if err != nil {
		return err
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	st, ok := store.Local(e.Store).(store.Optimizer)
	if !ok {
		return setupf("this store has nothing to optimize")
	}
	tables, removed, added := []optimizedTable{}, 0, 0
	err = e.eachTable(args, func(f *feature.Feature) error {
		o, err := st.Optimize(ctx, f.Key(), store.Optimization{SortBy: f.Spec().IDColumns, Marks: engine.CarriedMarks})
		if err != nil {
			return err
		}
		tables = append(tables, optimizedTable{f.Key(), o.Version, o.Removed, o.Added, o.BytesRemoved, o.BytesAdded, o.Rows})
		removed, added = removed+o.Removed, added+o.Added
		return nil
	})
	if err != nil {
		return err
	}
	if format == "json" {
		err = writeJSON(a.stdout, map[string]any{"features": tables})
	} else {
		t := newTable()
		t.AppendHeader([]any{"feature", "files before", "files after", "bytes before", "bytes after", "rows", "version"})
		for _, o := range tables {
			t.AppendRow([]any{o.Feature, o.FilesRemoved, o.FilesAdded, o.BytesRemoved, o.BytesAdded, o.Rows, o.Version})
		}
		_, err = fmt.Fprintln(a.stdout, t.Render())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.Stderr, "removed=%d added=%d\n", removed, added)
	return err
}

// tidy merges the small files of a table when there are many. What was asked for is done before, and does not fail by it.
func (e *Env) tidy(ctx context.Context, f *feature.Feature) {
	_, err := store.Tidy(ctx, e.Store, f.Key(), store.Optimization{SortBy: f.Spec().IDColumns, Marks: engine.CarriedMarks})
	if err != nil && ctx.Err() == nil {
		e.Log.Warn("the table's small files are not merged", "feature", string(f.Key()), "error", err)
	}
}

// eachTable calls fn for the named features, or for all that have a table.
func (e *Env) eachTable(names []string, fn func(*feature.Feature) error) error {
	features, err := e.features(names)
	if err != nil {
		return err
	}
	for _, f := range features {
		err := fn(f)
		if errors.Is(err, store.ErrNoTable) && len(names) == 0 {
			continue
		}
		if err != nil {
			return ownTable(err, f)
		}
	}
	return nil
}
