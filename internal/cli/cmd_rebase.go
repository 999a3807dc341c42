package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/metadata"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

type rebaseFlags struct {
	from            string
	filters         []string
	replace         bool
	materialization string
}

func (a *app) rebaseCommand() *cobra.Command {
	var f rebaseFlags
	cmd := &cobra.Command{
		Use:   "rebase FEATURE",
		Short: "Carry rows over to a feature's present version without computing them anew",
		Long: "Writes the current samples of another version of a feature under its present one, with the provenance that they\n" +
			"would have if they were computed now: for a change of the feature, or of one that it depends on, that leaves\n" +
			"what is computed as it was. Samples that the present version has already, and those that it does not expect,\n" +
			"stay as they are. The number of rows is the last line on stderr.",
		Example: a.example("rebase video/crop", "rebase video/crop --from-version 3f2a… --filter 'n > 3'"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.rebase(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from-version", "", "the feature `VERSION` of the rows (default: the only other one that the table has)")
	flags.StringArrayVar(&f.filters, "filter", nil, "only samples for which `EXPR` holds; may be repeated")
	flags.BoolVar(&f.replace, "replace", false, "samples too that the present version has already")
	materializationFlag(cmd, &f.materialization)
	return cmd
}

func (a *app) rebase(ctx context.Context, log *slog.Logger, name string, flags rebaseFlags) (err error) {
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	t, err := e.table(name, flags.materialization)
	if err != nil {
		return err
	}
	if t.Feature.Root() {
		return setupf("rebase %s: the versions of a root feature come from outside; ingest it again", t.Feature.Key())
	}
	snap, err := e.Store.Snapshot(ctx, t.Feature.Key())
	if err != nil {
		return ownTable(fmt.Errorf("rebase %s: %w", t.Feature.Key(), err), t.Feature)
	}
	o := metadata.RebaseOptions{Filters: flags.filters, Replace: flags.replace}
	if o.From, err = rebaseFrom(ctx, snap, t.Feature, flags.from); err != nil {
		return err
	}
	res, err := t.Rebase(ctx, o)
	if err != nil {
		return e.missingTable(ctx, fmt.Errorf("rebase %s: %w", t.Feature.Key(), err), t.Feature)
	}
	if res.Present > 0 {
		log.Info("samples that the present version has already stay as they are; --replace rebases them too", "samples", res.Present)
	}
	if res.Unexpected > 0 {
		log.Warn("samples that the present version does not expect were left out: their parents' rows are gone or have no version",
			"samples", res.Unexpected)
	}
	_, err = fmt.Fprintf(e.Stderr, "rows=%d\n", res.Rows)
	return err
}

// rebaseFrom is the feature version to rebase from: the one asked for, or the only other one that is stored.
func rebaseFrom(ctx context.Context, snap store.Snapshot, f *feature.Feature, asked string) (string, error) {
	versions, err := engine.StoredVersions(ctx, snap)
	if err != nil {
		return "", fmt.Errorf("rebase %s: %w", f.Key(), err)
	}
	var others, shown []string
	for _, v := range versions {
		if v.Version == "" || v.Version == f.Version() {
			continue
		}
		if v.Version == asked {
			return asked, nil
		}
		others, shown = append(others, v.Version), append(shown, fmt.Sprintf("%s (%d rows)", v.Version, v.Rows))
	}
	switch {
	case len(others) == 0:
		return "", setupf("rebase %s: its table has rows of no other feature version than %s", f.Key(), f.Version())
	case asked != "":
		return "", setupf("rebase %s: --from-version %s: the table has rows of %s", f.Key(), asked, strings.Join(shown, ", "))
	case len(others) > 1:
		return "", setupf("rebase %s: say which feature version with --from-version: %s", f.Key(), strings.Join(shown, ", "))
	}
	return others[0], nil
}
