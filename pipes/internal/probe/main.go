// Probe is a small Pipes program whose argument says how it behaves. The tests run it under real Dagster.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// scenarios are the behaviours by name.
var scenarios = map[string]func(context.Context, *pipes.Session) error{
	"everything": everything,
	"reference":  reference,
	"versions":   versions,
	"context":    describeContext,
	"failure":    failure,
	"panic":      func(context.Context, *pipes.Session) error { return panics(nil) },
	"exit":       exit,
	"wait":       wait,
	"stubborn":   stubborn,
	"parallel":   parallel,
}

func main() {
	if len(os.Args) < 2 || scenarios[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: probe SCENARIO")
		os.Exit(4)
	}
	grace, err := time.ParseDuration(cmp.Or(os.Getenv("PROBE_GRACE"), "300ms"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
	opts := &pipes.Options{
		Params:  pipes.AnyParams{pipes.EnvParams{}, pipes.ArgParams{}},
		Signals: []os.Signal{syscall.SIGINT, syscall.SIGTERM},
		Grace:   grace,
	}
	err = pipes.Run(context.Background(), opts, scenarios[os.Args[1]])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(pipes.ExitStatus(err))
}
