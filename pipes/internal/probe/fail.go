package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// failure returns an error that wraps others.
func failure(context.Context, *pipes.Session) error {
	cause := &fs.PathError{Op: "open", Path: "input.mp4", Err: fs.ErrNotExist}
	return fmt.Errorf("crop sample v1: %w", errors.Join(cause, errors.New("second reason")))
}

// panics reads from a nil map's index beyond a slice.
func panics(list []int) error {
	return fmt.Errorf("never reached: %d", list[3])
}

// exit leaves without closing the session.
func exit(ctx context.Context, s *pipes.Session) error {
	s.Logger().Info("leaving without a word")
	os.Exit(7)
	return nil
}

// wait logs that it is ready and waits to be cancelled.
func wait(ctx context.Context, s *pipes.Session) error {
	ready(s)
	<-ctx.Done()
	s.Logger().Info("stopping: " + context.Cause(ctx).Error())
	return ctx.Err()
}

// stubborn waits and does not heed cancellation.
func stubborn(_ context.Context, s *pipes.Session) error {
	ready(s)
	select {}
}

// ready tells the tests that signals may be sent now, by the file that PROBE_READY names.
func ready(s *pipes.Session) {
	s.Logger().Info("ready")
	if path := os.Getenv("PROBE_READY"); path != "" {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			panic(err)
		}
	}
}
