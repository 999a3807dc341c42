package cli

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
)

// runInput is what the user typed; zero is what he did not.
type runInput struct {
	RunFlags
	orphaned string
	given    func(flag string) bool
}

func (a *app) runCommand() *cobra.Command {
	in := &runInput{}
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "run [FEATURE…] [-- COMMAND ARG…]",
		Short: "Resolve, process, write and report: the main job",
		Long: "Finds the new and stale samples of each feature, has them computed, commits the results with their\n" +
			"provenance, and reports to Dagster if Dagster Pipes launched this process. With -- COMMAND the samples go to\n" +
			"an external processor as JSON lines, without to the compiled-in one. Without FEATURE, Dagster's context\n" +
			"names it. Exit status: 0 done, 1 failed, 3 some samples failed, 4 set up wrongly, 130 interrupted.",
		Example: a.example("run video/crop --concurrency 4 -- python crop.py", "run --dry-run"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				args, in.Command = args[:dash], args[dash:]
				if len(in.Command) == 0 {
					return setupf("run: no command follows --")
				}
			}
			in.given = cmd.Flags().Changed
			return a.runSamples(ctx, log, args, in)
		}),
	}
	a.runFlags(cmd, in)
	return cmd
}

func (a *app) runFlags(cmd *cobra.Command, in *runInput) {
	flags := cmd.Flags()
	flags.IntVar(&in.Concurrency, "concurrency", 0, "`N` workers at once (default: number of CPUs)")
	flags.IntVar(&in.BatchSize, "batch-size", 0, "`N` samples a call (default: what the processor asks for)")
	flags.Int64Var(&in.FlushRows, "flush-rows", 0, "commit after `N` rows (default: 10000, or what a second brings if that is more)")
	flags.DurationVar(&in.FlushInterval, "flush-interval", 0, "commit at least this often while there are rows (default 10s)")
	flags.IntVar(&in.Retries, "retries", 0, "try a failed sample again up to `N` times")
	flags.DurationVar(&in.SampleTimeout, "sample-timeout", 0, "how long one attempt may take (default: as long as it wants)")
	flags.Var(&in.MaxFailed, "max-failed", "so many failed samples are no failure (default 0)")
	flags.StringVar(&in.orphaned, "orphaned", "", "`keep|delete` samples that are no longer expected (default keep)")
	flags.Int64Var(&in.Limit, "limit", 0, "process at most `N` samples")
	flags.StringVar(&in.Partition, "partition", "", "only samples of this `PARTITION` (default: Dagster's)")
	flags.Var(&in.Shard, "shard", "only part i of n, from 0, such as $JOB_COMPLETION_INDEX/8")
	flags.DurationVar(&in.Grace, "grace", 0, "how long workers may go on after the run is told to stop (default 10s)")
	flags.BoolVar(&in.NoOptimize, "no-optimize", false, "do not merge the table's small files when there are many")
	flags.BoolVar(&in.DryRun, "dry-run", false, "resolve and count; neither process nor write")
	flags.BoolVar(&in.ReportOnly, "report-only", false, "report the table as it is, such as after several shards; process nothing")
	flags.BoolVar(&in.Stats, "stats", false, statsHelp)
	flags.BoolVar(&in.BatchArrow, "batch-arrow", false, "speak Arrow IPC with the external processor instead of JSON lines")
}

func (a *app) runSamples(ctx context.Context, log *slog.Logger, args []string, in *runInput) (err error) {
	if a.program.Run == nil {
		return setupf("%s runs no samples", a.program.Name)
	}
	for _, name := range args {
		key, err := feature.ParseKey(name)
		if err != nil {
			return setup(err)
		}
		in.Features = append(in.Features, key)
	}
	if err := in.check(); err != nil {
		return err
	}
	e, src, err := a.openGraph(log)
	if err != nil {
		return err
	}
	if err := in.lookup(e); err != nil {
		return err
	}
	if err := in.defaults(e.Config.Pipes); err != nil {
		return err
	}
	e.connect = func(ctx context.Context) error {
		if err := a.connect(ctx, e, src); err != nil {
			return err
		}
		return in.lookup(e)
	}
	defer func() {
		if e.Store != nil {
			closing(e.Store, &err)
		}
	}()
	return a.program.Run(ctx, e, in.RunFlags)
}

// lookup refuses features that the graph does not have, once it is there.
func (in *runInput) lookup(e *Env) error {
	if e.Graph == nil {
		return nil
	}
	for _, key := range in.Features {
		if _, err := e.Graph.Lookup(key); err != nil {
			return err
		}
	}
	return nil
}

// check refuses flags that make no sense.
func (in *runInput) check() error {
	for _, f := range []struct {
		name  string
		value int64
		least int64
	}{
		{"concurrency", int64(in.Concurrency), 1}, {"batch-size", int64(in.BatchSize), 1}, {"flush-rows", in.FlushRows, 1},
		{"retries", int64(in.Retries), 0}, {"limit", in.Limit, 0},
		{"flush-interval", int64(in.FlushInterval), 1}, {"sample-timeout", int64(in.SampleTimeout), 0},
		{"grace", int64(in.Grace), 1},
	} {
		if in.given(f.name) && f.value < f.least {
			return setupf("--%s: expected at least %d", f.name, f.least)
		}
	}
	if in.given("orphaned") && in.orphaned != "keep" && in.orphaned != "delete" {
		return setupf("--orphaned %q: expected keep or delete", in.orphaned)
	}
	if in.BatchArrow && in.Command == nil {
		return setupf("--batch-arrow is for an external processor: name it after --, as in run %s -- python crop.py",
			strings.Join(keyStrings(in.Features), " "))
	}
	return nil
}

func keyStrings(keys []feature.Key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = string(k)
	}
	return out
}

// defaults fills in what the configuration says and the flags do not.
func (in *runInput) defaults(p config.Pipes) error {
	fill(in, "concurrency", &in.Concurrency, p.Concurrency)
	fill(in, "batch-size", &in.BatchSize, p.BatchSize)
	fill(in, "flush-rows", &in.FlushRows, p.FlushRows)
	fill(in, "flush-interval", &in.FlushInterval, p.FlushInterval)
	fill(in, "retries", &in.Retries, p.Retries)
	fill(in, "sample-timeout", &in.SampleTimeout, p.SampleTimeout)
	fill(in, "grace", &in.Grace, p.Grace)
	fill(in, "orphaned", &in.orphaned, p.Orphaned)
	in.DeleteOrphaned = in.orphaned == "delete"
	in.ProcessorEnv = p.ProcessorEnv
	if !in.given("max-failed") && p.MaxFailed != "" {
		if err := in.MaxFailed.Set(p.MaxFailed); err != nil {
			return fmt.Errorf("%w: ext.metaxy_pipes.max_failed: %w", config.ErrConfig, err)
		}
	}
	return nil
}

func fill[T any](in *runInput, flag string, value *T, configured T) {
	if !in.given(flag) {
		*value = configured
	}
}
