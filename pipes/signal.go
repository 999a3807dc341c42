package pipes

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// forcedClose is how long closing may take once the process is to exit at once.
	forcedClose = 2 * time.Second
	// sameSignal is for how long another signal counts as the first one once more. A terminal signals the whole group of
	// processes, and Dagster passes the signal on, so that one wish to stop may arrive several times.
	sameSignal = time.Second
)

// A SignalError tells that a signal interrupted the step. It is the cause of the context's end.
type SignalError struct {
	// Signal is the signal; it is never nil in an error of this package.
	Signal os.Signal
	// Err is what the step returned because of it; nil if it did not return.
	Err error
}

// Error names the signal.
func (e *SignalError) Error() string {
	text := "interrupted by " + signalName(e.Signal)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns what the step returned.
func (e *SignalError) Unwrap() error {
	return e.Err
}

// signalName returns the usual name of a signal.
func signalName(sig os.Signal) string {
	switch sig {
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	case syscall.SIGQUIT:
		return "SIGQUIT"
	case nil:
		return "a signal"
	}
	return sig.String()
}

// ExitStatus returns the status that a process should exit with: 0 for nil, 128 plus the number of the signal for an
// error that wraps a [*SignalError], else 1.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	var interrupted *SignalError
	if errors.As(err, &interrupted) {
		if number, ok := interrupted.Signal.(syscall.Signal); ok {
			return 128 + int(number)
		}
	}
	return 1
}

// A signalWatch waits for signals on behalf of Run.
type signalWatch struct {
	session  *Session
	grace    time.Duration
	status   func(error) int
	exit     func(int)
	cancel   context.CancelCauseFunc
	notified chan os.Signal
	done     chan struct{} // closed by stop
	ended    chan struct{} // closed when nothing is watching any more

	mu    sync.Mutex
	first os.Signal
}

// newSignalWatch returns a watch that calls cancel at the first signal.
func newSignalWatch(s *Session, o Options, cancel context.CancelCauseFunc) *signalWatch {
	return &signalWatch{
		session: s, grace: o.Grace, status: o.ExitStatus, exit: o.exit, cancel: cancel,
		notified: make(chan os.Signal, 2), done: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start begins to watch for signals, if there are any to watch for.
func (w *signalWatch) start(signals []os.Signal) {
	if len(signals) == 0 {
		close(w.ended)
		return
	}
	signal.Notify(w.notified, signals...)
	go w.watch()
}

// watch cancels at the first signal, and exits at the second or when the grace is over.
func (w *signalWatch) watch() {
	defer close(w.ended)
	var sig os.Signal
	select {
	case <-w.done:
		return
	case sig = <-w.notified:
	}
	w.mu.Lock()
	w.first = sig
	w.mu.Unlock()
	w.cancel(&SignalError{Signal: sig})
	if again, ok := w.outlast(); ok {
		if again == nil {
			again = sig
		}
		w.forceClose(&SignalError{Signal: again})
	}
}

// outlast waits after the first signal. It returns false if the step has ended in time, else the second signal, or nil
// if the grace is over.
func (w *signalWatch) outlast() (os.Signal, bool) {
	begin := time.Now()
	grace := time.NewTimer(w.grace)
	defer grace.Stop()
	for {
		select {
		case <-w.done:
			return nil, false
		case <-grace.C:
			return nil, true
		case sig := <-w.notified:
			if time.Since(begin) > sameSignal {
				return sig, true
			}
		}
	}
}

// forceClose closes the session and exits, also if closing hangs.
func (w *signalWatch) forceClose(err *SignalError) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		complain(w.session.CloseWithError(err))
	}()
	select {
	case <-closed:
	case <-time.After(forcedClose):
	}
	w.exit(w.status(err))
}

// outcome names the signal in the error of a step that was interrupted by one.
func (w *signalWatch) outcome(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil || w.first == nil {
		return err
	}
	return &SignalError{Signal: w.first, Err: err}
}

// stop ends the watching and waits for it, so that an exit that is under way is not overtaken.
func (w *signalWatch) stop() {
	signal.Stop(w.notified)
	close(w.done)
	<-w.ended
	w.cancel(nil)
}
