package metaxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/cli"
	"github.com/metaxy-pipes/metaxy-pipes/internal/machine"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/databricks"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/s3pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Main is the main function of a program with compiled-in steps: the command line of metaxy-pipes, whose run command
// processes the steps' features. It exits with 0 when all is done, 1 when it failed, 3 when some samples failed, 4 when
// it was set up wrongly, 130 when it was interrupted. At the first SIGINT or SIGTERM a run commits what is done and
// stops; a second one, more than a second later, ends it at once.
func Main(steps ...Step) {
	machine.DelayCollection()
	machine.SetGCPercent(gcPercent)
	ctx, cancel := context.WithCancelCause(context.Background())
	var p program
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals()...)
	go func() {
		cancel(&pipes.SignalError{Signal: <-signals})
		if second(signals, nil); !p.running.Load() { // a run closes its session first, and exits then
			os.Exit(cli.ExitInterrupted)
		}
	}()
	os.Exit(p.main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr, steps))
}

// runPercent is gcPercent while samples are processed, whose rows come and go fast; the limit of memory holds all the same.
const runPercent = 200

// gcPercent keeps the heap closer to what is in use than Go does by itself. What is in use are a few large buffers without
// pointers, so that looking for garbage more often costs little, and small containers are enough for large tables.
const gcPercent = 50

// stopSignals are the signals that interrupt. SIGINT does also where it was ignored, as in the background of a shell:
// Dagster cancels by it, and may have been started there.
func stopSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

// sameSignal is for how long another signal counts as the first one once more, as in package pipes: Ctrl-C reaches the
// whole group of processes, and Dagster passes it on.
const sameSignal = time.Second

// second waits for a second signal after the first one. It returns false if done is closed before.
func second(signals <-chan os.Signal, done <-chan struct{}) bool {
	for begin := time.Now(); ; {
		select {
		case <-signals:
			if time.Since(begin) > sameSignal {
				return true
			}
		case <-done:
			return false
		}
	}
}

// Command is [Main] for programs that exit by themselves: args begin with the program's name, cancelling ctx interrupts,
// and the exit status is returned.
func Command(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, steps ...Step) int {
	return new(program).main(ctx, args, stdin, stdout, stderr, steps)
}

// A program is a command line with steps.
type program struct {
	steps     map[feature.Key]Step
	bootstrap pipes.ArgParams // options of Dagster Pipes on the command line
	running   atomic.Bool     // the run command has a session, which answers signals

	mu       sync.Mutex
	external []*external // of the run command
}

func (p *program) main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, steps []Step) int {
	c, err := p.describe(args[0], steps)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return cli.ExitSetup
	}
	p.bootstrap = pipes.ArgParams{Args: args[1:]}
	return cli.Main(ctx, p.bootstrap.Rest(), c, stdin, stdout, stderr)
}

// describe is what the common commands need to know of the steps.
func (p *program) describe(name string, steps []Step) (cli.Program, error) {
	p.steps = map[feature.Key]Step{}
	c := cli.Program{Name: name[strings.LastIndexByte(name, '/')+1:], Run: p.run, Tell: tell, Processors: map[feature.Key]string{}}
	var graphs []*feature.Graph
	for _, s := range steps {
		if s.Graph != nil {
			graphs = append(graphs, s.Graph)
		}
		if s.Feature == "" && s.Graph != nil {
			key, err := s.onlyChild()
			if err != nil {
				return c, err
			}
			s.Feature = key
		}
		if _, twice := p.steps[s.Feature]; twice || s.Feature == "" {
			return c, setupf("the program has two steps for the feature %q, or one without", s.Feature)
		}
		p.steps[s.Feature] = s
		if s.Process != nil {
			c.Processors[s.Feature] = kindOf(s.Process)
		}
		if s.Store != nil && c.Store == nil {
			c.Store = func(ctx context.Context) (store.Store, engine.Hashing, error) {
				st, err := s.Store(ctx)
				return st, s.Hashing, err
			}
		}
	}
	var err error
	c.Definitions, err = definitions(graphs)
	return c, err
}

// kindOf names a processor for people and for the Dagster definitions.
func kindOf(p Processor) string {
	if e, ok := p.(*external); ok {
		return e.args[0]
	}
	if n, ok := p.(interface{ kind() string }); ok {
		return n.kind()
	}
	return strings.TrimPrefix(reflect.TypeOf(p).String(), "*")
}

// definitions unites the features of the steps' graphs.
func definitions(graphs []*feature.Graph) ([]feature.Definition, error) {
	var out []feature.Definition
	versions := map[feature.Key]string{}
	for _, g := range graphs {
		for f := range g.All() {
			version, seen := versions[f.Key()]
			if seen && version != f.DefinitionVersion() {
				return nil, setupf("two steps define the feature %s differently", f.Key())
			}
			if seen {
				continue
			}
			versions[f.Key()] = f.DefinitionVersion()
			out = append(out, f.Definition())
		}
	}
	return out, nil
}

// run is the run command.
func (p *program) run(ctx context.Context, e *cli.Env, f cli.RunFlags) error {
	machine.SetGCPercent(runPercent)
	p.running.Store(true)
	defer p.running.Store(false)
	defer p.killAtSecondSignal()()
	o := options(e, f)
	var results Results
	var unready error
	opts := &pipes.Options{
		Params: pipes.AnyParams{pipesParams(), p.bootstrap},
		Log:    e.Log.Handler(), Signals: stopSignals(), Grace: o.withDefaults().Grace + time.Minute,
		ExitStatus: func(error) int { return cli.ExitInterrupted },
	}
	opts.Context, opts.Messages = channel(e.Config.Pipes.Channel)
	err := pipes.Run(ctx, opts, func(ctx context.Context, s *pipes.Session) error {
		if unready = e.Connect(ctx); unready != nil {
			return unready
		}
		steps, err := p.choose(s, e, f)
		if err != nil {
			return err
		}
		results, err = Run(ctx, s, o, steps...)
		if n := len(results); n > 0 {
			err = e.MissingTable(ctx, err, results[n-1].Feature)
		}
		return err
	})
	if errors.Is(err, pipes.ErrElsewhere) {
		err = setupf("%w; if it is S3, DBFS or a volume, say so: [ext.metaxy_pipes] pipes_channel = \"s3\" (or \"dbfs\", "+
			"\"volumes\"), or METAXY_EXT__METAXY_PIPES__PIPES_CHANNEL", err)
	}
	if unready != nil && exitCode(ctx, err) != cli.ExitInterrupted {
		return err // nothing was begun that a summary could be of
	}
	if err != nil { // before the summary, which is the last line
		fmt.Fprintln(e.Stderr, "error:", printable(err.Error()))
	}
	if f.Stats {
		err = errors.Join(err, e.PrintStats())
	}
	fmt.Fprintln(e.Stderr, results.Summary())
	if err != nil {
		return &cli.ExitError{Code: exitCode(ctx, err)}
	}
	return nil
}

// channel returns where Dagster's context and messages are, as the configuration names it. The parameters that Dagster
// passes do not tell: those of S3, Google and Azure look the same, and those of Databricks like those of a file.
func channel(name string) (pipes.ContextLoader, pipes.MessageOpener) {
	switch name {
	case "s3":
		blobs := s3pipes.New(nil)
		return blobs, blobs
	case "dbfs":
		return databricks.DBFS{}, databricks.DBFS{}
	case "volumes":
		return databricks.Volumes{}, databricks.Volumes{}
	}
	return pipes.DefaultContext{}, pipes.DefaultMessages{}
}

// tell is for commands that only look: what they found out goes to Dagster, if it launched this process.
func tell(ctx context.Context, payload any, failed error) error {
	if !launched() {
		return nil
	}
	s, err := pipes.Open(ctx, nil)
	if err != nil {
		return err
	}
	if failed == nil {
		failed = s.Send(ctx, map[string]any{"metaxy_pipes": payload})
		return errors.Join(failed, s.CloseWithError(failed))
	}
	return s.CloseWithError(failed)
}

// launched reports whether Dagster launched this process.
func launched() bool {
	_, _, err := pipesParams().LoadParams()
	return !errors.Is(err, pipes.ErrNotPipes)
}

// killAtSecondSignal ends external processors, which would otherwise outlive a run that is ended at once.
func (p *program) killAtSecondSignal() (stop func()) {
	signals, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, stopSignals()...)
	go func() {
		select {
		case <-signals:
		case <-done:
			return
		}
		if !second(signals, done) {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range p.external {
			e.killAll()
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// printable takes what could steer a terminal out of a text, since samples and processors have a say in it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// exitCode is the documented status of an error of Run.
func exitCode(ctx context.Context, err error) int {
	var setup *SetupError
	var samples *SamplesError
	var interrupted *pipes.SignalError
	switch {
	case errors.As(err, &interrupted), ctx.Err() != nil:
		return cli.ExitInterrupted
	case errors.As(err, &samples):
		return cli.ExitSomeFailed
	case errors.As(err, &setup):
		return cli.ExitSetup
	}
	return cli.ExitFailed
}

// choose makes the steps of a run: the named features, else those of Dagster's assets, else all that are compiled in.
func (p *program) choose(s *pipes.Session, e *cli.Env, f cli.RunFlags) ([]Step, error) {
	keys := f.Features
	if len(keys) == 0 {
		var x extras
		if _, err := s.Extra("metaxy_pipes", &x); err != nil {
			return nil, setupf("read the extra %q: %w", "metaxy_pipes", err)
		}
		for _, asset := range s.Data().AssetKeys {
			keys = append(keys, featureOf(x, asset))
		}
	}
	if len(keys) == 0 {
		for f := range e.Graph.All() {
			if _, ok := p.steps[f.Key()]; ok {
				keys = append(keys, f.Key())
			}
		}
	}
	if len(keys) == 0 {
		return nil, setupf("no feature to run: name one, as in: run video/crop -- ./crop.py")
	}
	var steps []Step
	for _, key := range keys {
		step := p.steps[key]
		step.Graph, step.Feature, step.Hashing = e.Graph, key, e.Hashing
		step.Store = func(context.Context) (store.Store, error) { return named{borrowed{e.Store}, e.StoreInfo}, nil }
		if len(f.Command) > 0 {
			x := &external{args: f.Command, env: f.ProcessorEnv, arrow: f.BatchArrow}
			step.Process = x
			p.mu.Lock()
			p.external = append(p.external, x)
			p.mu.Unlock()
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// options translates the flags.
func options(e *cli.Env, f cli.RunFlags) Options {
	o := Options{
		Concurrency: f.Concurrency, BatchSize: f.BatchSize, FlushRows: f.FlushRows, FlushInterval: f.FlushInterval,
		Retries: f.Retries, SampleTimeout: f.SampleTimeout, Grace: f.Grace, MaxFailed: Tolerance(f.MaxFailed),
		DeleteOrphaned: f.DeleteOrphaned, NoOptimize: f.NoOptimize, Limit: f.Limit, Partition: f.Partition, Shard: Shard(f.Shard), DryRun: f.DryRun,
		ReportOnly:  f.ReportOnly,
		MemoryLimit: e.MemoryLimit,
	}
	if file, ok := e.Stderr.(*os.File); ok && term.IsTerminal(int(file.Fd())) && os.Getenv("TERM") != "dumb" {
		o.Terminal = file
	}
	return o
}
