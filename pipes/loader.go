package pipes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// A ContextLoader turns the context payload into the step's context.
type ContextLoader interface {
	LoadContext(ctx context.Context, params json.RawMessage) (*ContextData, error)
}

// ErrElsewhere is wrapped by the errors of [DefaultContext] and [DefaultMessages] about payloads that name another place
// than a file or a stream, such as an object store.
var ErrElsewhere = errors.New("pipes: another place has to be chosen by Options.Context and Options.Messages")

// DefaultContext loads a context from the file that the payload's key path names, or else from its key data.
type DefaultContext struct{}

// LoadContext implements [ContextLoader].
func (DefaultContext) LoadContext(_ context.Context, params json.RawMessage) (*ContextData, error) {
	o, err := decodeObject(params)
	if err != nil {
		return nil, err
	}
	text := o["data"]
	switch {
	case o.has("path"):
		path, err := member[string](o, "path")
		if err != nil {
			return nil, err
		}
		if text, err = readContext(path); err != nil {
			return nil, err
		}
	case !o.has("data"):
		return nil, fmt.Errorf("expected one of the keys path and data, got %s: %w", o.keys(), ErrElsewhere)
	}
	data := new(ContextData)
	if err := data.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	return data, nil
}

// maxContext is how many bytes a context's file may have, so that a wrong path cannot fill the memory.
const maxContext = 512 << 20

// readContext reads a context's file, which may be a pipe.
func readContext(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() <= maxContext { // a pipe's is 0
		data, err = io.ReadAll(io.LimitReader(f, maxContext+1))
	}
	if info.Size() > maxContext || len(data) > maxContext {
		return nil, fmt.Errorf("the context's file %q has more than %d bytes; is it the right one?", path, maxContext)
	}
	return data, err
}
