package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
)

// An app is one run of the command line.
type app struct {
	program Program
	environ []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer

	global  globalFlags
	started bool // a command has begun; errors before are the arguments'
}

type globalFlags struct {
	config    string
	store     string
	features  []string
	logLevel  string
	logFormat string
	memory    memoryLimit
}

// root is the command tree.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   a.program.Name,
		Short: "Versioned samples for Dagster: finds what is new or stale, computes it, writes it back",
		Long: "Finds out which samples of a feature are new, stale or orphaned, has them computed, and writes them with\n" +
			"their provenance into Delta tables in a folder or a bucket.",
		Example:       a.example("--store ./data --features features.yaml status"),
		Args:          a.noCommand,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	flags := root.PersistentFlags()
	flags.StringVar(&a.global.config, "config", "", "configuration `FILE` (default: metaxy.toml here or above)")
	flags.StringVar(&a.global.store, "store", "", "store: a `NAME` in the configuration, or a path or URI")
	flags.StringArrayVar(&a.global.features, "features", nil, "feature file or folder; may be repeated")
	flags.StringVar(&a.global.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&a.global.logFormat, "log-format", "text", "text or json")
	flags.Var(&a.global.memory, "memory-limit",
		"memory to stay within, such as 512MiB (default: a quarter of the machine's or the container's)")
	root.AddCommand(
		a.graphCommand(), a.statusCommand(), a.resolveCommand(), a.explainCommand(), a.ingestCommand(), a.runCommand(),
		a.readCommand(), a.optimizeCommand(), a.vacuumCommand(), a.describeCommand(), a.doctorCommand(), a.initCommand(), a.versionCommand(),
		a.pushCommand(), a.historyCommand(), a.diffCommand(), a.writeCommand(), a.deleteCommand(), a.restoreCommand(),
		a.logCommand(), a.verifyCommand(), a.rebaseCommand(),
	)
	return root
}

// noCommand refuses what is not the name of a command.
func (a *app) noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", args[0], near[0])
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// oneFeature is what the commands take that work on one feature.
func oneFeature(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s: expected one FEATURE, got %d", cmd.Name(), len(args))
	}
	return nil
}

// noArguments is for the commands that take flags only.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s: expected no argument, got %q", cmd.Name(), args)
	}
	return nil
}

// example is an example for a command's help.
func (a *app) example(lines ...string) string {
	return "  " + a.program.Name + " " + strings.Join(lines, "\n  "+a.program.Name+" ")
}

// run makes the function of a command, which begins here.
func (a *app) run(
	fn func(ctx context.Context, log *slog.Logger, args []string) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		log, err := a.log()
		if err != nil {
			return err
		}
		a.started = true
		a.global.memory.apply()
		return fn(cmd.Context(), log, args)
	}
}

// log makes the logger that the flags ask for.
func (a *app) log() (*slog.Logger, error) {
	var level slog.Level
	switch a.global.logLevel {
	case "debug", "info", "warn", "error":
		if err := level.UnmarshalText([]byte(a.global.logLevel)); err != nil {
			return nil, err
		}
	default:
		return nil, setupf("--log-level %q: expected debug, info, warn or error", a.global.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch a.global.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(a.stderr, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(a.stderr, o)), nil
	}
	return nil, setupf("--log-format %q: expected text or json", a.global.logFormat)
}

// loadConfig reads the configuration and passes its warnings to the log.
func (a *app) loadConfig(log *slog.Logger) (*config.Config, error) {
	c, err := config.Load(config.Source{Path: a.global.config, Environ: a.environ})
	if err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	return c, nil
}

// terminal reports whether a stream is a terminal.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
