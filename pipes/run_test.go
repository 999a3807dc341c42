package pipes_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

func TestRunCloses(t *testing.T) {
	t.Parallel()
	opts, messages := pipestest.Options(pipes.ContextData{RunID: "r"})
	err := pipes.Run(t.Context(), opts, func(ctx context.Context, s *pipes.Session) error {
		if !s.Attached() || s.Data().RunID != "r" {
			t.Errorf("context = %+v", s.Data())
		}
		return nil
	})
	if err != nil || methods(messages()) != "opened closed" || string(messages()[1].Params) != "{}" {
		t.Errorf("Run() = %v; messages = %s", err, messages())
	}
}

func TestRunReportsError(t *testing.T) {
	t.Parallel()
	opts, messages := pipestest.Options(pipes.ContextData{})
	failed := errors.New("failed")
	err := pipes.Run(t.Context(), opts, func(context.Context, *pipes.Session) error { return failed })
	if !errors.Is(err, failed) || pipes.ExitStatus(err) != 1 {
		t.Errorf("Run() = %v, want the error", err)
	}
	if got := closedWith(t, messages()).outline(); got != "error: failed" {
		t.Errorf("exception = %s", got)
	}
}

func TestRunAfterEarlyClose(t *testing.T) {
	t.Parallel()
	opts, messages := pipestest.Options(pipes.ContextData{})
	err := pipes.Run(t.Context(), opts, func(_ context.Context, s *pipes.Session) error { return s.Close() })
	if err != nil || methods(messages()) != "opened closed" {
		t.Errorf("Run() = %v; messages = %s, want one closed", err, methods(messages()))
	}
}

func TestRunFailsIfClosedCannotBeSent(t *testing.T) {
	t.Parallel()
	channel := new(flaky)
	opts := bootstrap(t, `{"data": {}}`, `{}`)
	opts.Messages = channel
	err := pipes.Run(t.Context(), opts, func(context.Context, *pipes.Session) error {
		channel.err = errors.New("disk full")
		return nil
	})
	if !errors.Is(err, channel.err) {
		t.Errorf("Run() = %v, want the channel's error", err)
	}
}

// index panics if the list has no fourth element.
//
//go:noinline
func index(list []int) int { return list[3] }

func TestRunReportsPanicAndPassesItOn(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for want, do := range map[string]func(){
		"panic: panic: text":                  func() { panic("text") },
		"panic: panic: boom <- (error: boom)": func() { panic(boom) },
		"panic: panic: runtime error: index out of range [3] with length 0 <- (boundsError: runtime error: index out of range [3] with length 0)": func() { index(nil) },
	} {
		opts, messages := pipestest.Options(pipes.ContextData{})
		recovered := func() (v any) {
			defer func() { v = recover() }()
			err := pipes.Run(t.Context(), opts, func(context.Context, *pipes.Session) error {
				do()
				return nil
			})
			t.Errorf("Run() = %v, want a panic", err)
			return nil
		}()
		if recovered == nil {
			t.Errorf("%s: the panic was not passed on", want)
		}
		got := closedWith(t, messages())
		if got.outline() != want {
			t.Errorf("exception = %s, want %s", got.outline(), want)
		}
		last := got.Stack[len(got.Stack)-1]
		if !strings.Contains(last, "TestRunReportsPanicAndPassesItOn") && !strings.Contains(last, ".index\n") {
			t.Errorf("the innermost frame is %q, want the function that panicked", last)
		}
	}
}

func TestRunReportsGoexit(t *testing.T) {
	t.Parallel()
	opts, messages := pipestest.Options(pipes.ContextData{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = pipes.Run(context.Background(), opts, func(context.Context, *pipes.Session) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	if got := closedWith(t, messages()).outline(); !strings.Contains(got, "runtime.Goexit") {
		t.Errorf("exception = %s", got)
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	interrupted := &pipes.SignalError{Signal: syscall.SIGTERM, Err: context.Canceled}
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {interrupted, 143}, {errors.Join(errors.New("x"), interrupted), 143},
		{&pipes.SignalError{Signal: syscall.SIGINT}, 130}, {&pipes.SignalError{}, 1},
	} {
		if got := pipes.ExitStatus(test.err); got != test.want {
			t.Errorf("ExitStatus(%v) = %d, want %d", test.err, got, test.want)
		}
	}
	if got := interrupted.Error(); got != "interrupted by SIGTERM: context canceled" {
		t.Errorf("Error() = %q", got)
	}
	for want, sig := range map[string]os.Signal{
		"SIGINT": syscall.SIGINT, "SIGHUP": syscall.SIGHUP, "SIGQUIT": syscall.SIGQUIT, "a signal": nil,
		"user defined signal 1": syscall.SIGUSR1,
	} {
		if got := (&pipes.SignalError{Signal: sig}).Error(); got != "interrupted by "+want {
			t.Errorf("Error() = %q, want the name %s", got, want)
		}
	}
	if !errors.Is(interrupted, context.Canceled) {
		t.Error("what the step returned is not part of the error")
	}
}
