package cli

import (
	"context"

	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
)

// statuses are the parts of an increment in the order in which they are printed.
var statuses = []engine.Status{engine.New, engine.Stale, engine.Orphaned}

type resolveFlags struct {
	only    []string
	columns []string
	filters []string
	limit   int64
	shard   Shard
	format  string
	stats   bool
}

func (a *app) resolveCommand() *cobra.Command {
	var f resolveFlags
	cmd := &cobra.Command{
		Use:   "resolve FEATURE",
		Short: "Print the samples that are new, stale or orphaned; nothing is written",
		Long: "Compares the samples that a feature should have with those that are stored, and prints the difference.\n" +
			"Each row has its status, the id columns, the versions, and the columns asked for. The counts of the whole\n" +
			"increment (or shard) are the last line on stderr. Nothing is written.",
		Example: a.example("resolve video/crop --only new,stale --columns path --format csv"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.resolve(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.only, "only", nil, "print only these: new, stale, orphaned")
	flags.StringSliceVar(&f.columns, "columns", nil, "further columns to print; '*' for all")
	flags.StringArrayVar(&f.filters, "filter", nil,
		"keep the rows, stored and of the parents, for which `EXPR` holds; may be repeated")
	flags.Int64Var(&f.limit, "limit", 0, "print at most `N` rows, new ones first")
	flags.Var(&f.shard, "shard", "only part i of n, from 0")
	flags.BoolVar(&f.stats, "stats", false, statsHelp)
	flags.StringVar(&f.format, "format", "", strings.Join(rowFormats, ", ")+" (default: table on a terminal, else jsonl)")
	return cmd
}

func (a *app) resolve(ctx context.Context, log *slog.Logger, name string, flags resolveFlags) (err error) {
	parts, err := flags.check()
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
	if f.Root() {
		return setupf("%s is a root feature: its samples come from outside, not from parents; feed it with "+
			"%s ingest %s --from SRC", f.Key(), a.program.Name, f.Key())
	}
	inc, err := engine.Resolve(ctx, e.Store, f, engine.Options{Hashing: e.Hashing, MemoryLimit: e.MemoryLimit, GlobalFilters: flags.filters,
		Shard: engine.Shard(flags.shard)})
	if err != nil {
		return e.missingTable(ctx, err, f)
	}
	out := &increment{inc: inc, flags: flags, parts: parts}
	return out.print(ctx, e)
}

// check reads the parts of the increment that are asked for, and refuses what makes no sense.
func (f resolveFlags) check() ([]engine.Status, error) {
	if f.limit < 0 {
		return nil, setupf("--limit %d: expected 0 or more; 0 means all", f.limit)
	}
	if err := checkRowFormat(f.format); err != nil {
		return nil, err
	}
	if f.only == nil {
		return statuses, nil
	}
	var parts []engine.Status
	for _, s := range statuses {
		if slices.Contains(f.only, s.String()) {
			parts = append(parts, s)
		}
	}
	for _, name := range f.only {
		if !slices.ContainsFunc(statuses, func(s engine.Status) bool { return s.String() == name }) {
			return nil, setupf("--only %q: expected new, stale, orphaned or several of them joined by commas", name)
		}
	}
	return parts, nil
}
