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

// maxContext is how many bytes a context's file or object may have, so that a wrong name cannot fill the memory.
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
	if data, err = ReadBlob(f, info.Size()); errors.Is(err, ErrRefused) { // a pipe's size is 0
		err = fmt.Errorf("the context's file %q: %w", path, err)
	}
	return data, err
}

// ReadBlob reads an object for [BlobStore.Get]. The size is what its store says of it, at most 0 if that is not known. An
// object of more than 512 MiB is refused, with an error wrapping [ErrRefused] and before it is read where its size is known:
// no step's context is that large, so that it is another object, and must not fill the memory.
func ReadBlob(body io.Reader, size int64) ([]byte, error) { return readBounded(body, size, maxContext) }

// readBounded is ReadBlob with another limit.
func readBounded(body io.Reader, size, limit int64) (data []byte, err error) {
	if size <= limit {
		data, err = io.ReadAll(io.LimitReader(body, limit+1))
	}
	if size > limit || int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: it has more than %d bytes; is it the right one?", ErrRefused, limit)
	}
	return data, err
}
