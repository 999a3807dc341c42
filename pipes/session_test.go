package pipes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// flaky is a channel whose writes fail while err is set.
type flaky struct {
	err, closeErr error
	sent          []pipes.Message
	closed        int
}

func (f *flaky) OpenMessages(context.Context, json.RawMessage) (pipes.MessageWriter, error) {
	return f, nil
}

func (f *flaky) WriteMessage(_ context.Context, m *pipes.Message) error {
	if f.err != nil {
		return f.err
	}
	f.sent = append(f.sent, *m)
	return nil
}

func (f *flaky) Close() error {
	f.closed++
	return f.closeErr
}

// openFlaky opens a session over a flaky channel.
func openFlaky(t *testing.T) (*pipes.Session, *flaky) {
	t.Helper()
	channel := new(flaky)
	opts := bootstrap(t, `{"data": {"asset_keys": ["a"]}}`, `{}`)
	opts.Messages = channel
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return session, channel
}

func TestMaterializationMayBeRepeatedAfterFailure(t *testing.T) {
	t.Parallel()
	session, channel := openFlaky(t)
	channel.err = errors.New("disk full")
	if err := session.Materialize(t.Context(), pipes.Materialization{}); !errors.Is(err, channel.err) {
		t.Errorf("error = %v, want that of the channel", err)
	}
	channel.err = nil
	if err := session.Materialize(t.Context(), pipes.Materialization{}); err != nil {
		t.Errorf("second attempt: %v", err)
	}
	if err := session.Materialize(t.Context(), pipes.Materialization{}); !errors.Is(err, pipes.ErrReported) {
		t.Errorf("third attempt: error = %v, want ErrReported", err)
	}
}

func TestCloseTellsWhatWasLost(t *testing.T) {
	t.Parallel()
	session, channel := openFlaky(t)
	lost := errors.New("disk full")
	channel.err, channel.closeErr = lost, errors.New("cannot flush")
	for range 1000 {
		session.Logger().Info("lost")
	}
	err := session.Close()
	for _, want := range []error{lost, channel.closeErr} {
		if !errors.Is(err, want) {
			t.Errorf("Close() = %v, want it to tell of %v", err, want)
		}
	}
	if err == nil || !strings.Contains(err.Error(), "1000 log records or pieces of output") || strings.Count(err.Error(), "disk full") != 2 {
		t.Errorf("Close() = %v, want the number of records, and each reason once", err)
	}
	if err := session.Close(); err != nil || channel.closed != 1 {
		t.Errorf("second Close() = %v; the channel was closed %d times", err, channel.closed)
	}
}

func TestOpenFailsIfOpenedCannotBeSent(t *testing.T) {
	t.Parallel()
	channel := &flaky{err: errors.New("refused")}
	opts := bootstrap(t, `{"data": {}}`, `{}`)
	opts.Messages = channel
	if _, err := pipes.Open(t.Context(), opts); !errors.Is(err, channel.err) {
		t.Errorf("Open() error = %v, want that of the channel", err)
	}
	if channel.closed != 1 {
		t.Errorf("the channel was closed %d times, want once", channel.closed)
	}
}

func TestContextErrorReachesDagster(t *testing.T) {
	t.Parallel()
	params, path := messagesFile(t, "")
	if _, err := pipes.Open(t.Context(), bootstrap(t, `{"path": "/nowhere/context"}`, params)); err == nil {
		t.Fatal("Open() gave no error")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	messages := decodeLines(t, text)
	if err := pipestest.Check(messages); err != nil {
		t.Error(err)
	}
	if got := string(messages[len(messages)-1].Params); !strings.Contains(got, "/nowhere/context") {
		t.Errorf("the session was closed with %s, want the error of the context", got)
	}
}

func TestDetachedWritesOnlyToItsLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	session, err := pipes.Open(t.Context(), &pipes.Options{
		Params: pipes.MapParams{}, Log: slog.NewTextHandler(&log, nil),
		Messages: pipes.DefaultMessages{Stdout: pipes.NewStreamOutput(&log), Stderr: pipes.NewStreamOutput(&log)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if session.Attached() || session.Data() == nil || session.Data().IsAssetStep() {
		t.Error("the session is attached, or has a context")
	}
	session.Logger().Debug("quiet")
	session.Logger().Info("said", "n", 1)
	err = errors.Join(
		session.Materialize(t.Context(), pipes.Materialization{}),
		session.Materialize(t.Context(), pipes.Materialization{}),
		session.Check(t.Context(), pipes.CheckResult{Name: "c"}),
		session.Send(t.Context(), 1),
		session.Forward(t.Context(), pipes.Stdout, "text"),
	)
	if err != nil {
		t.Errorf("reports without Dagster: %v", err)
	}
	if err := session.Check(t.Context(), pipes.CheckResult{}); !errors.Is(err, pipes.ErrInvalid) {
		t.Errorf("an invalid report: error = %v, want it refused as under Dagster", err)
	}
	if err := session.CloseWithError(errors.New("failed")); err != nil {
		t.Error(err)
	}
	if err := session.Send(t.Context(), 1); !errors.Is(err, pipes.ErrClosed) {
		t.Errorf("report after closing: error = %v, want ErrClosed", err)
	}
	if _, text, _ := strings.Cut(log.String(), " "); text != "level=INFO msg=said n=1\n" {
		t.Errorf("written: %q", log.String())
	}
}

func TestSessionsAreIndependent(t *testing.T) {
	t.Parallel()
	one, first := pipestest.Open(t, pipes.ContextData{RunID: "1", AssetKeys: []string{"a"}})
	two, second := pipestest.Open(t, pipes.ContextData{RunID: "2", AssetKeys: []string{"a"}})
	for _, s := range []*pipes.Session{one, two} {
		if err := s.Materialize(t.Context(), pipes.Materialization{DataVersion: s.Data().RunID}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for want, messages := range map[string][]pipes.Message{"1": first(), "2": second()} {
		if len(messages) != 3 || !strings.Contains(string(messages[1].Params), `"data_version":"`+want+`"`) {
			t.Errorf("session %s sent %q", want, messages)
		}
	}
}

func TestInvalidReportsAreNotSent(t *testing.T) {
	t.Parallel()
	session, messages := pipestest.Open(t, pipes.ContextData{AssetKeys: []string{"a"}})
	deep := strings.Repeat("[", 101) + strings.Repeat("]", 101)
	for name, report := range map[string]func() error{
		"data version": func() error {
			return session.Materialize(t.Context(), pipes.Materialization{DataVersion: "\xff"})
		},
		"data version with NUL": func() error {
			return session.Materialize(t.Context(), pipes.Materialization{DataVersion: "v\x00"})
		},
		"asset key": func() error {
			return session.Materialize(t.Context(), pipes.Materialization{AssetKey: "\xff"})
		},
		"metadata name": func() error {
			return session.Materialize(t.Context(), pipes.Materialization{Metadata: pipes.Metadata{"\xff": pipes.Null()}})
		},
		"check name": func() error { return session.Check(t.Context(), pipes.CheckResult{Name: "\xff"}) },
		"too large":  func() error { return session.Send(t.Context(), strings.Repeat("x", pipes.MaxMessage)) },
		"too deep":   func() error { return session.Send(t.Context(), json.RawMessage(deep)) },
		"too many digits": func() error {
			return session.Send(t.Context(), json.RawMessage(strings.Repeat("9", 4301)))
		},
		"not JSON":       func() error { return session.Send(t.Context(), json.RawMessage("{")) },
		"no encoding":    func() error { return session.Send(t.Context(), func() {}) },
		"raw bytes":      func() error { return session.Send(t.Context(), json.RawMessage("\"\xff\"")) },
		"lone surrogate": func() error { return session.Send(t.Context(), json.RawMessage(`"\ud83c\u0041"`)) },
		"half a pair":    func() error { return session.Send(t.Context(), json.RawMessage(`"\ud83c"`)) },
	} {
		if err := report(); !errors.Is(err, pipes.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", name, err)
		}
	}
	if got := methods(messages()); got != "opened" {
		t.Errorf("messages = %s, want none but opened", got)
	}
	for _, ok := range []string{
		strings.Repeat("[", 97) + strings.Repeat("]", 97), strings.Repeat("9", 4300), `"\ud83c\udfac \\ud83c"`, `"[[\"{"`,
	} {
		if err := session.Send(t.Context(), json.RawMessage(ok)); err != nil {
			t.Errorf("%.20s…: %v", ok, err)
		}
	}
}

// announcing is a channel that tells its reader about itself.
type announcing struct{ flaky }

func (a *announcing) OpenMessages(context.Context, json.RawMessage) (pipes.MessageWriter, error) {
	return a, nil
}

func (a *announcing) OpenedExtras() map[string]any { return map[string]any{"root": "/logs"} }

func TestOpenedCarriesTheChannelsExtras(t *testing.T) {
	t.Parallel()
	channel := new(announcing)
	opts := bootstrap(t, `{"data": {}}`, `{}`)
	opts.Messages = channel
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(channel.sent[0].Params); got != `{"extras":{"root":"/logs"}}` {
		t.Errorf("opened with %s", got)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

// elsewhere is a place of the program's own for everything that Dagster passes.
type elsewhere struct{ flaky }

func (e *elsewhere) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	return json.RawMessage(`"a context"`), json.RawMessage(`"a channel"`), nil
}

func (e *elsewhere) LoadContext(_ context.Context, params json.RawMessage) (*pipes.ContextData, error) {
	return &pipes.ContextData{RunID: "from " + string(params)}, nil
}

func (e *elsewhere) OpenMessages(_ context.Context, params json.RawMessage) (pipes.MessageWriter, error) {
	if string(params) != `"a channel"` {
		return nil, fmt.Errorf("unknown channel %s", params)
	}
	return e, nil
}

func TestPartsCanBeReplaced(t *testing.T) {
	t.Parallel()
	place := new(elsewhere)
	session, err := pipes.Open(t.Context(), &pipes.Options{Params: place, Context: place, Messages: place})
	if err != nil {
		t.Fatal(err)
	}
	if got := session.Data().RunID; got != `from "a context"` {
		t.Errorf("the context is that of run %q", got)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if len(place.sent) != 2 || place.sent[0].Method != pipes.MethodOpened || place.sent[1].Method != pipes.MethodClosed {
		t.Errorf("the channel got %v", place.sent)
	}
}
