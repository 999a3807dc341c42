package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/filter"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/internal/ingest"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

// Main runs the command that args name (without the program's own name) and returns the exit status. An error is
// printed once on stderr. Cancelling ctx stops the command with status 130.
func Main(ctx context.Context, args []string, p Program, stdin io.Reader, stdout, stderr io.Writer) int {
	if p.Name == "" {
		p.Name = "metaxy-pipes"
	}
	a := &app{program: p, environ: os.Environ(), stdin: stdin, stdout: stdout, stderr: stderr}
	return a.main(ctx, args)
}

func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		// What fails before a command begins is a mistake in the arguments.
		err = setup(fmt.Errorf("%w; see %s --help", err, a.program.Name))
	}
	code := exitCode(ctx, err)
	var chosen *ExitError
	if err != nil && !(errors.As(err, &chosen) && chosen.Err == nil) {
		fmt.Fprintf(a.stderr, "error: %s\n", strings.TrimRight(printable(err.Error()), "\n"))
	}
	return code
}

// setup marks an error as one of flags, configuration or graph.
func setup(err error) error { return &ExitError{Code: ExitSetup, Err: err} }

func setupf(format string, args ...any) error { return setup(fmt.Errorf(format, args...)) }

// setupErrors are the errors that mean that something is set up wrongly, wherever they come from.
func setupErrors() []error {
	return []error{
		config.ErrConfig, feature.ErrSpec, feature.ErrUnknown, feature.ErrCycle, feature.ErrMapping, feature.ErrProject,
		engine.ErrPlan, engine.ErrHashing, filter.ErrFilter, ingest.ErrSetup, systemtable.ErrPush, systemtable.ErrUnknown,
	}
}

// exitCode translates the outcome of a command into the program's exit status.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return ExitOK
	}
	if chosen, ok := errors.AsType[*ExitError](err); ok {
		return chosen.Code
	}
	if ctx.Err() != nil {
		return ExitInterrupted
	}
	for _, s := range setupErrors() {
		if errors.Is(err, s) {
			return ExitSetup
		}
	}
	return ExitFailed
}

// printable takes what could steer a terminal out of a text; line breaks and tabs stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f {
			return '\ufffd'
		}
		return r
	}, s)
}
