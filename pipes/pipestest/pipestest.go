// Package pipestest plays Dagster's part of a Pipes session in tests.
package pipestest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// Open returns an open session with the given context and the messages that it has sent so far, through a func that may
// be called at any time. At the end of the test the session is closed, if it is not yet, and its messages have to pass
// [Check].
func Open(t testing.TB, data pipes.ContextData) (*pipes.Session, func() []pipes.Message) {
	t.Helper()
	opts, messages := Options(data)
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatalf("open session: %v", err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Errorf("close session: %v", err)
		}
		if err := Check(messages()); err != nil {
			t.Errorf("Dagster would not take the session's messages: %v", err)
		}
	})
	return session, messages
}

// Options returns options under which pipes.Open and pipes.Run find the given context, and the messages sent so far.
func Options(data pipes.ContextData) (opts *pipes.Options, messages func() []pipes.Message) {
	d := &dagster{data: data}
	return &pipes.Options{Params: d, Messages: d}, d.messages
}

// dagster is the orchestrator's half of a session, in memory.
type dagster struct {
	data pipes.ContextData

	mu     sync.Mutex
	sent   []pipes.Message
	closed bool
}

// LoadParams implements [pipes.ParamsLoader] by packing and unpacking the context, as the inline injector does.
func (d *dagster) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	env := make(map[string]any)
	for name, params := range map[string]any{
		pipes.ContextVar:  map[string]any{"data": d.data},
		pipes.MessagesVar: map[string]any{"pipestest": true},
	} {
		if env[name], err = pipes.EncodeParams(params); err != nil {
			return nil, nil, err
		}
	}
	return pipes.MapParams(env).LoadParams()
}

// OpenMessages implements [pipes.MessageOpener].
func (d *dagster) OpenMessages(context.Context, json.RawMessage) (pipes.MessageWriter, error) {
	return d, nil
}

// WriteMessage implements [pipes.MessageWriter].
func (d *dagster) WriteMessage(_ context.Context, m *pipes.Message) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errors.New("message after the channel was closed")
	}
	d.sent = append(d.sent, pipes.Message{Version: m.Version, Method: m.Method, Params: slices.Clone(m.Params)})
	return nil
}

// Close implements [pipes.MessageWriter].
func (d *dagster) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return nil
}

// messages returns a copy of what was sent.
func (d *dagster) messages() []pipes.Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sent)
}
