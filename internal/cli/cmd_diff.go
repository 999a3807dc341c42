package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature/graphdiff"
	"github.com/metaxy-pipes/metaxy-pipes/internal/forecast"
)

// The names of snapshots that are not versions, as Metaxy has them.
const (
	latestGraph  = "latest"
	currentGraph = "current"
)

func (a *app) diffCommand() *cobra.Command {
	format, counts := "", true
	cmd := &cobra.Command{
		Use:   "diff [A] [B]",
		Short: "Show what changed between two graphs, and how many samples that makes stale",
		Long: "Compares two graphs: A (default: latest, the snapshot that was pushed last) with B (default: current, the\n" +
			"features as they are declared now). Each is latest, current, or the version of a snapshot, of which the\n" +
			"beginning is enough. Then it resolves, under B, every feature that the change reaches, and says how many of\n" +
			"its stored samples will be computed again: those of features further down, too, as they will be when those\n" +
			"above have run. Nothing is written.",
		Example: a.example("diff", "diff 73644cf8 latest --format json"),
		Args:    cobra.MaximumNArgs(2),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			names := [2]string{latestGraph, currentGraph}
			copy(names[:], args)
			return a.diff(ctx, log, names, format, counts)
		}),
	}
	formatFlag(cmd, &format, "text")
	cmd.Flags().BoolVar(&counts, "counts", true, "resolve and count samples; --counts=false compares the graphs only")
	return cmd
}

func (a *app) diff(ctx context.Context, log *slog.Logger, names [2]string, format string, counts bool) (err error) {
	if format, err = a.chosenFormat(format, "text"); err != nil {
		return err
	}
	e, src, err := a.openGraph(log)
	if err != nil {
		return err
	}
	st, h, err := a.openStore(ctx, e)
	if err != nil {
		return e.explainLocate(src, err)
	}
	e.Store = st
	defer closing(st, &err)
	sides, err := e.sides(ctx, src, h, names)
	if err != nil {
		return err
	}
	d := &difference{from: sides[0], to: sides[1], changes: own(graphdiff.Compare(sides[0].graph, sides[1].graph))}
	if counts {
		d.forecasts, err = forecast.Of(ctx, e.Store, sides[0].graph, sides[1].graph, e.Hashing)
		if err != nil {
			return err
		}
	}
	if format == "json" {
		return writeJSON(e.Stdout, d.texts())
	}
	_, err = fmt.Fprint(e.Stdout, printable(d.text()))
	return err
}
