package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/internal/newproject"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a small working project",
		Long: "Writes a small working project into DIR (default: here): a configuration, two features, a Go processor, samples,\n" +
			"and Dagster definitions. It changes no file that is there already.",
		Example: a.example("init notes"),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("init: expected one DIR at most, got %d", len(args))
			}
			return nil
		},
		RunE: a.run(func(_ context.Context, _ *slog.Logger, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return a.newProject(dir)
		}),
	}
}

// newProject writes the project, and says what there is and what comes next.
func (a *app) newProject(dir string) error {
	names, err := newproject.Write(dir)
	switch {
	case errors.Is(err, newproject.ErrExists):
		return setup(err)
	case err != nil:
		return err
	}
	for _, name := range names {
		if _, err := fmt.Fprintln(a.stdout, name); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stderr, "a project in %s; how to build and run it: README.md\n", dir)
	return nil
}
