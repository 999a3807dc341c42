package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Options replaces parts of the protocol. A nil *Options and the zero value mean the defaults.
type Options struct {
	// Params finds the bootstrap payloads; nil means EnvParams.
	Params ParamsLoader
	// Context loads the step's context; nil means DefaultContext.
	Context ContextLoader
	// Messages opens the channel for messages; nil means DefaultMessages.
	Messages MessageOpener
	// Level is the lowest level of log records that are sent; nil means that all are.
	Level slog.Leveler
	// Log takes the log records of a process that Dagster did not launch; nil means text on standard error.
	Log slog.Handler
	// Signals are the signals that Run turns into the cancellation of its context; nil means none.
	Signals []os.Signal
	// Grace is how long Run lets its function go on after a signal; 0 means 15 seconds.
	Grace time.Duration
	// MaxMessage is the length in bytes of the longest message that the channel is trusted with, its line end included; 0
	// means what it carries by itself: 16 KiB on stdout and stderr, whose lines container runtimes cut, else 1 MiB.
	MaxMessage int
	// ExitStatus is the status with which Run exits when it cannot wait for its function; nil means [ExitStatus].
	ExitStatus func(error) int

	exit func(status int) // os.Exit, but for tests
}

// A Session is one open conversation with Dagster. Its methods are safe for concurrent use; reports arrive in the order
// in which the calls return. A process may have several sessions.
//
// The context given to a report bounds how long it may wait for its channel; files and standard streams do not wait.
type Session struct {
	data     *ContextData
	attached bool
	logger   *slog.Logger

	limit   int // length of the longest message
	queue   *logQueue
	capture *capture // nil if output is not forwarded

	mu           sync.Mutex // held while a message is written
	writer       MessageWriter
	closed       bool
	materialized map[string]bool
	logErrs      lostRecords
}

// Open reads the bootstrap parameters, opens the channel, loads the context and sends the opened message. The caller
// must end the session by Close or CloseWithError. Without Dagster it returns a session all the same, which writes log
// records to Options.Log and nothing else anywhere.
func Open(ctx context.Context, opts *Options) (*Session, error) {
	o := opts.withDefaults()
	contextParams, messagesParams, err := o.Params.LoadParams()
	if errors.Is(err, ErrNotPipes) {
		return detached(o), nil
	}
	if err != nil {
		return nil, fmt.Errorf("pipes: %w", err)
	}
	writer, err := o.Messages.OpenMessages(ctx, messagesParams)
	if err != nil {
		return nil, fmt.Errorf("pipes: open messages: %w", err)
	}
	s := newSession(writer, o)
	s.attached = true
	s.logger = slog.New(&logHandler{session: s, level: o.Level})
	if err := s.open(ctx, o, contextParams, messagesParams); err != nil {
		return nil, fmt.Errorf("pipes: %w", errors.Join(err, s.CloseWithError(err)))
	}
	return s, nil
}

// withDefaults returns a copy of the options with every part filled in.
func (o *Options) withDefaults() Options {
	var filled Options
	if o != nil {
		filled = *o
	}
	if filled.Params == nil {
		filled.Params = EnvParams{}
	}
	if filled.Context == nil {
		filled.Context = DefaultContext{}
	}
	if filled.Messages == nil {
		filled.Messages = DefaultMessages{}
	}
	if filled.Grace == 0 {
		filled.Grace = 15 * time.Second
	}
	if filled.ExitStatus == nil {
		filled.ExitStatus = ExitStatus
	}
	if filled.exit == nil {
		filled.exit = os.Exit
	}
	return filled
}

// detached returns the session of a process without Dagster.
func detached(o Options) *Session {
	handler := o.Log
	if handler == nil {
		handler = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: o.Level})
	}
	s := newSession(discard{}, o)
	s.logger = slog.New(handler)
	return s
}

// newSession returns a session over a channel, without a logger.
func newSession(writer MessageWriter, o Options) *Session {
	return &Session{
		data: new(ContextData), limit: carried(writer, o.MaxMessage), queue: newLogQueue(),
		writer: writer, materialized: make(map[string]bool),
	}
}

// open sends the opened message and loads the context, in this order, so that Dagster hears of a context that does not
// load.
func (s *Session) open(ctx context.Context, o Options, contextParams, messagesParams json.RawMessage) error {
	extras := map[string]any{}
	if a, ok := s.writer.(Announcer); ok && a.OpenedExtras() != nil {
		extras = a.OpenedExtras()
	}
	if err := s.send(ctx, MethodOpened, map[string]any{"extras": extras}); err != nil {
		return fmt.Errorf("send opened message: %w", err)
	}
	s.forwardOutput(ctx, messagesParams)
	data, err := o.Context.LoadContext(ctx, contextParams)
	if err != nil {
		return fmt.Errorf("load context: %w", err)
	}
	s.data = data
	return nil
}

// forwardOutput begins to forward stdout and stderr, if the messages payload asks for it and messages do not go there
// themselves. What cannot be done is told to Dagster.
func (s *Session) forwardOutput(ctx context.Context, messagesParams json.RawMessage) {
	if _, shared := s.writer.(interface{ sharesStream() }); shared {
		return
	}
	params, err := decodeObject(messagesParams)
	if err != nil {
		return // the channel was opened by something else than an object
	}
	wanted, err := member[bool](params, "include_stdio_in_messages")
	if err == nil && wanted {
		s.capture, err = startCapture(s)
	}
	if err != nil {
		s.logger.WarnContext(ctx, "stdout and stderr are not forwarded to Dagster; see the log of the process itself",
			"reason", err)
	}
}

// lost counts something that could not be delivered, to be told by Close.
func (s *Session) lost(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logErrs.add(1, err)
}

// Data returns the step's context. It does not change during the session.
func (s *Session) Data() *ContextData {
	return s.data
}

// Extra is Data().Extra: it decodes the user's extra under key into v and reports whether there is one.
func (s *Session) Extra(key string, v any) (bool, error) {
	return s.data.Extra(key, v)
}

// Attached reports whether Dagster launched this process.
func (s *Session) Attached() bool {
	return s.attached
}

// Logger returns a logger whose records appear in the Dagster event log, or where Options.Log says without Dagster.
// What could not be delivered is told by Close.
func (s *Session) Logger() *slog.Logger {
	return s.logger
}

// send encodes and writes a message.
func (s *Session) send(ctx context.Context, method Method, params any) error {
	m, err := s.encode(method, params)
	if err != nil {
		return err
	}
	return s.deliver(ctx, m)
}

// deliver writes a message behind all log records that came before it.
func (s *Session) deliver(ctx context.Context, m *Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
	return s.write(ctx, m)
}

// write writes a message; s.mu is held.
func (s *Session) write(ctx context.Context, m *Message) error {
	if s.closed {
		return ErrClosed
	}
	return s.writer.WriteMessage(ctx, m)
}

// Close ends the session as succeeded. Its error tells what could not be delivered, log records included. Closing a
// closed session does nothing.
func (s *Session) Close() error {
	return s.close(nil, nil)
}

// CloseWithError ends the session as failed, reporting err and its chain of causes as the step's exception. A nil err
// makes it Close. The process has to exit with a status other than 0 as well, since Dagster takes the exception for a
// mere note. The result is like that of Close; err is not part of it.
func (s *Session) CloseWithError(err error) error {
	if err == nil {
		return s.close(nil, nil)
	}
	return s.close(err, callers(1))
}

// close sends the closed message, exactly once, and closes the channel.
func (s *Session) close(cause error, pcs []uintptr) error {
	m, err := s.encodeClosed(cause, pcs)
	s.capture.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.flush()
	if err == nil {
		err = s.writer.WriteMessage(context.Background(), m)
	}
	s.closed = true
	if err != nil {
		err = fmt.Errorf("send closed message: %w", err)
	}
	if closeErr := s.writer.Close(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("close channel: %w", closeErr))
	}
	if err = errors.Join(s.logErrs.err(), err); err != nil {
		return fmt.Errorf("pipes: %w", err)
	}
	return nil
}

// encodeClosed encodes the closed message, with as much of the error's chain as the channel carries.
func (s *Session) encodeClosed(cause error, pcs []uintptr) (*Message, error) {
	if cause == nil {
		return s.encode(MethodClosed, struct{}{})
	}
	for within := wide; ; within = within.narrower() {
		m, err := s.encode(MethodClosed, map[string]any{"exception": newException(cause, pcs, within)})
		if !errors.Is(err, errTooLarge) || within.text == 0 {
			return m, err
		}
	}
}
