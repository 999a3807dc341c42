// Pipes counts the words of its arguments and tells Dagster. It uses the protocol alone, and runs by hand as well.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

func count(ctx context.Context, s *pipes.Session) error {
	words := len(strings.Fields(strings.Join(os.Args[1:], " ")))
	s.Logger().Info("counted", "words", words)
	return s.Materialize(ctx, pipes.Materialization{Metadata: pipes.Metadata{"words": pipes.Int(int64(words))}})
}

func main() {
	opts := &pipes.Options{Signals: []os.Signal{syscall.SIGINT, syscall.SIGTERM}}
	err := pipes.Run(context.Background(), opts, count)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(pipes.ExitStatus(err))
}
