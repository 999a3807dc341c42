package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A restorer is a store that can bring back an older version of a table.
type restorer interface {
	Restore(ctx context.Context, key feature.Key, version int64) (store.Commit, error)
}

func (a *app) restoreCommand() *cobra.Command {
	var to string
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FEATURE --to VERSION|TIME",
		Short: "Bring back the rows that a table had",
		Long: "Gives the table of a feature the rows back that it had at a version or a time, in a new commit; log lists the\n" +
			"versions. What was written since is not lost: it is in the versions before the restore, and can be restored\n" +
			"again, until a vacuum removes it. The samples whose rows go are new or stale again, and the next run computes\n" +
			"them. Asks on a terminal; elsewhere it needs --yes. The last line on stderr is the table's new version.",
		Example: a.example("restore video/crop --to 41 --yes", "restore video/crop --to 2026-01-31T12:00:00Z --yes"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			if to == "" {
				return setupf("restore needs --to VERSION|TIME: log %s lists them", args[0])
			}
			return a.restore(ctx, log, args[0], to, yes)
		}),
	}
	cmd.Flags().StringVar(&to, "to", "", "the `VERSION|TIME` to go back to, such as 41 or 2026-01-31T12:00:00Z")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) restore(ctx context.Context, log *slog.Logger, name, to string, yes bool) (err error) {
	if !yes && !a.asks() {
		return setupf("restore asks before it changes a table, and this is no terminal: give --yes")
	}
	m, err := parseMoment("--to", to)
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
	snap, err := m.snapshot(ctx, e.Store, f.Key())
	if err != nil {
		return ownTable(err, f)
	}
	if !yes {
		if err := e.agree(fmt.Sprintf("Bring %s back to version %d? [y/N] ", f.Key(), snap.Version()), "restored"); err != nil {
			return err
		}
	}
	st, ok := store.Local(e.Store).(restorer)
	if !ok {
		return setupf("this store has the newest version of each table only")
	}
	c, err := st.Restore(ctx, f.Key(), snap.Version())
	if err != nil {
		return ownTable(fmt.Errorf("restore: %w", err), f)
	}
	_, err = fmt.Fprintf(e.Stderr, "version=%d\n", c.Version)
	return err
}

// agree asks a question and waits for a yes. Without one, the error says what was not done.
func (e *Env) agree(question, done string) error {
	if _, err := io.WriteString(e.Stderr, question); err != nil {
		return err
	}
	answer, err := bufio.NewReader(e.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was " + done)
}
