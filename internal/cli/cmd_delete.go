package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metaxy-pipes/metaxy-pipes/metadata"
)

type deleteFlags struct {
	filters         []string
	materialization string
	hard            bool
	yes             bool
	featureHistory  bool
	sampleHistory   bool
}

func (a *app) deleteCommand() *cobra.Command {
	var f deleteFlags
	cmd := &cobra.Command{
		Use:   "delete FEATURE --filter EXPR",
		Short: "Delete the samples that a filter chooses",
		Long: "Soft-deletes the current samples for which EXPR holds: a row is appended for each that says when it was\n" +
			"deleted, and readers do not see it any more. With --hard, every stored row of the feature's version for which\n" +
			"EXPR holds is taken out of the table, older rows and deletions among them. Asks on a terminal; elsewhere it\n" +
			"needs --yes. The number of rows is the last line on stderr.",
		Example: a.example("delete video/crop --filter \"id = 'video_001'\"", "delete video/crop --filter 'n < 3' --filter 'n > 0' --hard --yes"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.delete(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.filters, "filter", nil, "delete the rows for which `EXPR` holds; may be repeated")
	flags.BoolVar(&f.hard, "hard", false, "take the rows out of the table, with their history")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.BoolVar(&f.featureHistory, "feature-history", false, "rows of every feature version")
	flags.BoolVar(&f.sampleHistory, "sample-history", false, "every live row of a sample, not the newest only (soft deletion)")
	materializationFlag(cmd, &f.materialization)
	return cmd
}

func (a *app) delete(ctx context.Context, log *slog.Logger, name string, flags deleteFlags) (err error) {
	ask := !flags.yes
	switch {
	case len(flags.filters) == 0:
		return setupf("delete needs --filter EXPR; to delete everything, name a column that is never null: " +
			"--filter 'id IS NOT NULL'")
	case ask && !a.asks():
		return setupf("delete asks before it deletes, and this is no terminal: give --yes")
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	t, err := e.table(name, flags.materialization)
	if err != nil {
		return err
	}
	o := metadata.DeleteOptions{Filters: flags.filters, Hard: flags.hard, WithFeatureHistory: flags.featureHistory,
		WithSampleHistory: flags.sampleHistory}
	if ask {
		if err := e.confirm(ctx, t, o); err != nil {
			return err
		}
	}
	c, err := t.Delete(ctx, o)
	if err != nil {
		return ownTable(fmt.Errorf("delete from %s: %w", t.Feature.Key(), err), t.Feature)
	}
	_, err = fmt.Fprintf(e.Stderr, "rows=%d\n", c.Rows)
	return err
}

// asks reports whether there is somebody to ask.
func (a *app) asks() bool {
	in, ok := a.stdin.(*os.File)
	return ok && term.IsTerminal(int(in.Fd())) && terminal(a.stderr)
}

// confirm says what would be deleted and waits for a yes.
func (e *Env) confirm(ctx context.Context, t *metadata.Table, o metadata.DeleteOptions) error {
	n, err := t.Chosen(ctx, o)
	if err != nil {
		return ownTable(fmt.Errorf("delete from %s: %w", t.Feature.Key(), err), t.Feature)
	}
	how := "Soft-delete %d samples of %s? [y/N] "
	if o.Hard {
		how = "Take %d rows out of the table of %s for good? [y/N] "
	}
	return e.agree(fmt.Sprintf(how, n, t.Feature.Key()), "deleted")
}
