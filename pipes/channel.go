package pipes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// A MessageOpener opens the channel that the messages payload describes.
type MessageOpener interface {
	OpenMessages(ctx context.Context, params json.RawMessage) (MessageWriter, error)
}

// A MessageWriter carries messages to the orchestrator, in order. A session calls one method at a time, and Close
// exactly once. WriteMessage may keep messages back; Close delivers them and tells what it could not deliver. A message
// that WriteMessage returned an error for must not be delivered later, since the session may send it again.
type MessageWriter interface {
	WriteMessage(ctx context.Context, m *Message) error
	Close() error
}

// An Announcer is a [MessageWriter] that tells its reader about itself in the opened message.
type Announcer interface {
	OpenedExtras() map[string]any
}

// DefaultMessages opens a file, a standard stream, or a standard stream that is written when the session ends: what the
// payload's keys path, stdio and buffered_stdio say, in this order.
type DefaultMessages struct {
	// Stdout takes messages for stdout; nil means the process's own.
	Stdout *StreamOutput
	// Stderr takes messages for stderr; nil means the process's own.
	Stderr *StreamOutput
}

// OpenMessages implements [MessageOpener].
func (d DefaultMessages) OpenMessages(_ context.Context, params json.RawMessage) (MessageWriter, error) {
	o, err := decodeObject(params)
	if err != nil {
		return nil, err
	}
	switch {
	case o.has("path"):
		path, err := member[string](o, "path")
		if err != nil {
			return nil, err
		}
		return openFile(path)
	case o.has("stdio"):
		out, err := d.stream(o, "stdio")
		if err != nil {
			return nil, err
		}
		return &streamWriter{out}, nil
	case o.has("buffered_stdio"):
		out, err := d.stream(o, "buffered_stdio")
		if err != nil {
			return nil, err
		}
		return &bufferedWriter{out: out}, nil
	}
	return nil, fmt.Errorf("expected one of the keys path, stdio and buffered_stdio, got %s: %w", o.keys(), ErrElsewhere)
}

// stream returns the standard stream that the value of a key names.
func (d DefaultMessages) stream(o object, key string) (*StreamOutput, error) {
	name, err := member[Stream](o, key)
	if err != nil {
		return nil, err
	}
	switch {
	case name == Stdout && d.Stdout != nil:
		return d.Stdout, nil
	case name == Stdout:
		return NewStreamOutput(os.Stdout), nil
	case name == Stderr && d.Stderr != nil:
		return d.Stderr, nil
	case name == Stderr:
		return NewStreamOutput(os.Stderr), nil
	}
	return nil, fmt.Errorf("read %q: expected stdout or stderr, got %q", key, name)
}

// discard is the channel of a process without Dagster.
type discard struct{}

func (discard) WriteMessage(context.Context, *Message) error { return nil }
func (discard) Close() error                                 { return nil }

// errTorn is returned after a write that left a part of a line behind: what follows would be glued to it, and the
// reader stops at such a line.
var errTorn = errors.New("an earlier message was written in part, so the reader takes no more")

// fileWriter appends each message to a file by one write.
type fileWriter struct {
	file io.WriteCloser
	torn bool
}

// openFile opens the file of messages, which the orchestrator has made and reads; it is appended to and never replaced.
func openFile(path string) (*fileWriter, error) {
	if path == "" {
		return nil, errors.New("the path of the messages file is empty")
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &fileWriter{file: watchedFile{f}}, nil
}

// A watchedFile is a file that tells, when it is closed, if nobody finds it any more under its name.
type watchedFile struct{ *os.File }

// Close implements io.Closer.
func (f watchedFile) Close() error {
	mine, err := f.Stat()
	there, gone := os.Stat(f.Name())
	if err == nil && (gone != nil || !os.SameFile(mine, there)) {
		err = fmt.Errorf("the messages file %s has been removed or replaced meanwhile: what was sent may not have arrived", f.Name())
	}
	return errors.Join(err, f.File.Close())
}

// WriteMessage implements [MessageWriter].
func (w *fileWriter) WriteMessage(_ context.Context, m *Message) error {
	_, err := w.writeBatch([]*Message{m})
	return err
}

// writeBatch implements batchWriter: it writes all lines by one write.
func (w *fileWriter) writeBatch(messages []*Message) (int, error) {
	if w.torn {
		return 0, errTorn
	}
	var text []byte
	for _, m := range messages {
		line, err := m.Line()
		if err != nil {
			return 0, err
		}
		text = append(text, line...)
	}
	n, err := w.file.Write(text)
	if err == nil && n < len(text) {
		err = io.ErrShortWrite
	}
	w.torn = n > 0 && n < len(text) && text[n-1] != '\n'
	return bytes.Count(text[:max(n, 0)], []byte("\n")), err
}

// Close implements [MessageWriter].
func (w *fileWriter) Close() error {
	return w.file.Close()
}
