package pipes

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Run opens a session, calls fn with it and closes it with fn's outcome: success if fn returns nil, else the error and
// its causes as the step's exception. It returns fn's error, joined with what could not be delivered; a program that
// gets an error has to exit with a status other than 0, such as [ExitStatus] gives. A panic in fn is reported to
// Dagster as the session's exception and then raised again.
//
// With Options.Signals, the first of these signals cancels fn's context with a [*SignalError] as its cause. If fn then
// returns an error, that SignalError, wrapping it, is reported and returned; if it returns nil, it has succeeded. If fn
// does not return within Options.Grace, or at a second signal, the session is closed with the SignalError at once and
// the process exits with the status of Options.ExitStatus. A signal within a second of the first is no second one: it is
// the same one that arrives twice, from the terminal and from Dagster.
func Run(ctx context.Context, opts *Options, fn func(context.Context, *Session) error) error {
	o := opts.withDefaults()
	s, err := Open(ctx, &o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	watch := newSignalWatch(s, o, cancel)
	watch.start(o.Signals)
	defer watch.stop()
	return s.run(ctx, watch, fn)
}

// run calls fn and closes the session, also if fn panics or ends its goroutine.
func (s *Session) run(ctx context.Context, watch *signalWatch, fn func(context.Context, *Session) error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		if v == nil {
			// The goroutine is ending by runtime.Goexit, as testing.T.FailNow does; there is nobody to return to.
			complain(s.CloseWithError(errors.New("the step's goroutine ended by runtime.Goexit")))
			return
		}
		complain(s.CloseWithError(newPanicError(v)))
		panic(v)
	}()
	err = watch.outcome(fn(ctx, s))
	returned = true
	return errors.Join(err, s.CloseWithError(err))
}

// complain tells on standard error what could not be delivered, when there is no caller left to return it to.
func complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
