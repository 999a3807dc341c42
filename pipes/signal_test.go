package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a channel in memory. Writing blocks while block is open.
type sink struct {
	mu    sync.Mutex
	sent  []Message
	block chan struct{}
}

func (s *sink) OpenMessages(context.Context, json.RawMessage) (MessageWriter, error) { return s, nil }

func (s *sink) WriteMessage(_ context.Context, m *Message) error {
	if s.block != nil && m.Method == MethodClosed {
		<-s.block
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, *m)
	return nil
}

func (s *sink) Close() error { return nil }

// last returns the name and message of the exception in the last message.
func (s *sink) last(t *testing.T) (name, message string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var p struct{ Exception exception }
	if err := json.Unmarshal(s.sent[len(s.sent)-1].Params, &p); err != nil {
		t.Fatal(err)
	}
	return p.Exception.Name, p.Exception.Message
}

// watched runs fn with a signal watch in a session over a sink. Signals are what fn sends to notify. It returns Run's
// error and the exit status, -1 if the process would not have exited.
func watched(
	t *testing.T, channel *sink, fn func(ctx context.Context, notify chan<- os.Signal, exited <-chan struct{}) error,
) (status int, err error) {
	t.Helper()
	params, err := EncodeParams(map[string]any{"data": ContextData{}})
	if err != nil {
		t.Fatal(err)
	}
	status = -1
	exited := make(chan struct{})
	o := (&Options{
		Params:   MapParams{ContextVar: params, MessagesVar: params},
		Messages: channel,
		Grace:    time.Minute,
		exit: func(n int) {
			status = n
			close(exited)
		},
	}).withDefaults()
	s, err := Open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	w := newSignalWatch(s, o, cancel)
	go w.watch()
	err = s.run(ctx, w, func(ctx context.Context, _ *Session) error { return fn(ctx, w.notified, exited) })
	w.stop()
	return status, err
}

func TestSignalCancels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		channel := new(sink)
		status, err := watched(t, channel, func(ctx context.Context, notify chan<- os.Signal, _ <-chan struct{}) error {
			notify <- syscall.SIGTERM
			<-ctx.Done()
			var cause *SignalError
			if !errors.As(context.Cause(ctx), &cause) || cause.Signal != syscall.SIGTERM {
				t.Errorf("cause = %v, want the signal", context.Cause(ctx))
			}
			time.Sleep(59 * time.Second) // within the grace, on the test's clock
			return ctx.Err()
		})
		if ExitStatus(err) != 143 || !errors.Is(err, context.Canceled) || status != -1 {
			t.Errorf("Run() = %v, exit status %d; want the signal's error and no exit", err, status)
		}
		name, message := channel.last(t)
		if name != "SignalError" || message != "interrupted by SIGTERM: context canceled" {
			t.Errorf("exception %s, %q", name, message)
		}
	})
}

func TestSuccessDespiteSignal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		channel := new(sink)
		status, err := watched(t, channel, func(ctx context.Context, notify chan<- os.Signal, _ <-chan struct{}) error {
			notify <- syscall.SIGINT
			<-ctx.Done()
			return nil
		})
		if err != nil || status != -1 || string(channel.sent[1].Params) != "{}" {
			t.Errorf("Run() = %v, exit status %d, closed with %s; want success", err, status, channel.sent[1].Params)
		}
	})
}

func TestGraceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		channel := new(sink)
		start := time.Now()
		status, _ := watched(t, channel, func(_ context.Context, notify chan<- os.Signal, exited <-chan struct{}) error {
			notify <- syscall.SIGTERM
			<-exited
			return nil
		})
		if took := time.Since(start); status != 143 || took != time.Minute {
			t.Errorf("exit status %d after %v, want 143 after a minute", status, took)
		}
		if _, message := channel.last(t); message != "interrupted by SIGTERM" || len(channel.sent) != 2 {
			t.Errorf("exception %q as one of %d messages, want one closed", message, len(channel.sent))
		}
	})
}

func TestSecondSignalExits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		channel := new(sink)
		start := time.Now()
		status, _ := watched(t, channel, func(ctx context.Context, notify chan<- os.Signal, exited <-chan struct{}) error {
			notify <- syscall.SIGTERM
			<-ctx.Done()
			time.Sleep(sameSignal + time.Millisecond)
			notify <- syscall.SIGINT
			<-exited
			return errors.New("too late to be reported")
		})
		if took := time.Since(start); status != 130 || took != sameSignal+time.Millisecond {
			t.Errorf("exit status %d after %v, want 130 at the second signal", status, took)
		}
		if _, message := channel.last(t); message != "interrupted by SIGINT" || len(channel.sent) != 2 {
			t.Errorf("exception %q as one of %d messages, want one closed", message, len(channel.sent))
		}
	})
}

// TestSameSignalTwice has one Ctrl-C arrive from the terminal and from Dagster, at once and after a second.
func TestSameSignalTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		want := errors.New("interrupted in peace")
		status, err := watched(t, new(sink), func(ctx context.Context, notify chan<- os.Signal, _ <-chan struct{}) error {
			notify <- syscall.SIGINT
			<-ctx.Done()
			for _, pause := range []time.Duration{0, 3 * time.Millisecond, sameSignal - 3*time.Millisecond} {
				time.Sleep(pause)
				notify <- syscall.SIGINT
			}
			time.Sleep(50 * time.Second) // within the grace
			return want
		})
		if status != -1 || !errors.Is(err, want) {
			t.Errorf("exit status %d, Run() = %v; want no exit, and what the step returned", status, err)
		}
	})
}

// TestForcedExitStatus lets the caller say with which status the process ends.
func TestForcedExitStatus(t *testing.T) {
	t.Parallel()
	o := (&Options{Params: MapParams{}, ExitStatus: func(err error) int { return len(err.Error()) }}).withDefaults()
	s, err := Open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	o.exit = func(status int) {
		if want := len("interrupted by SIGTERM"); status != want {
			t.Errorf("exit status %d, want %d", status, want)
		}
	}
	newSignalWatch(s, o, nil).forceClose(&SignalError{Signal: syscall.SIGTERM})
}

func TestForcedExitDoesNotWaitForChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		channel := &sink{block: make(chan struct{})}
		start := time.Now()
		status, _ := watched(t, channel, func(ctx context.Context, notify chan<- os.Signal, exited <-chan struct{}) error {
			notify <- syscall.SIGINT
			<-ctx.Done()
			time.Sleep(2 * sameSignal)
			notify <- syscall.SIGINT
			<-exited
			close(channel.block)
			return nil
		})
		if took := time.Since(start); status != 130 || took != 2*sameSignal+forcedClose {
			t.Errorf("exit status %d after %v, want 130 after %v", status, took, 2*sameSignal+forcedClose)
		}
	})
}
