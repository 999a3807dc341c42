package pipes

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// A StreamOutput is a stream that messages share with other output. It keeps messages at the beginning of a line: if
// the last thing written through it did not end in a newline, one is added before the next message. A program that
// prints on a stream which may carry messages does so through its StreamOutput. It is safe for concurrent use.
type StreamOutput struct {
	mu      sync.Mutex
	w       io.Writer
	midLine bool
}

// NewStreamOutput returns a StreamOutput that writes to w, which is at the beginning of a line.
func NewStreamOutput(w io.Writer) *StreamOutput {
	return &StreamOutput{w: w}
}

// Write writes other output than messages.
func (o *StreamOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.write(p)
}

// write passes p on in one write and remembers where in a line it ended; o.mu is held.
func (o *StreamOutput) write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if n > 0 && n <= len(p) {
		o.midLine = p[n-1] != '\n'
	}
	return n, err
}

// writeLines writes whole lines, beginning a new one if need be, in one write.
func (o *StreamOutput) writeLines(lines []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.midLine {
		lines = append([]byte("\n"), lines...)
	}
	_, err := o.write(lines)
	return err
}

// streamWriter writes each message at once.
type streamWriter struct {
	out *StreamOutput
}

// WriteMessage implements [MessageWriter].
func (w *streamWriter) WriteMessage(_ context.Context, m *Message) error {
	text, err := m.Line()
	if err != nil {
		return err
	}
	return w.out.writeLines(text)
}

// maxStreamBatch is the length of what a pipe takes in one piece, whoever else writes to it.
const maxStreamBatch = 4096

// writeBatch implements batchWriter.
func (w *streamWriter) writeBatch(messages []*Message) (n int, err error) {
	var lines []byte
	waiting := 0
	flush := func() {
		if waiting == 0 {
			return
		}
		if writeErr := w.out.writeLines(lines); writeErr != nil {
			err = writeErr
		} else {
			n += waiting
		}
		lines, waiting = lines[:0], 0
	}
	for _, m := range messages {
		text, lineErr := m.Line()
		if lineErr != nil {
			err = lineErr
			continue
		}
		if len(lines)+len(text) > maxStreamBatch {
			flush()
		}
		lines = append(lines, text...)
		waiting++
	}
	flush()
	return n, err
}

// SafeLength implements [Limited]. Container runtimes store lines in pieces of 16 KiB, and mix the pieces of stdout and
// stderr, so that a longer line does not come back whole from a pod's log.
func (w *streamWriter) SafeLength() int { return 16 << 10 }

// sharesStream tells that messages go where the process's own output goes.
func (w *streamWriter) sharesStream() {}

// Close implements [MessageWriter]; the stream is not the session's to close.
func (w *streamWriter) Close() error { return nil }

// bufferedWriter keeps all messages and writes them at the end, as the last output of a process of whose log only the
// end is read.
type bufferedWriter struct {
	out *StreamOutput
	buf bytes.Buffer
}

// WriteMessage implements [MessageWriter].
func (w *bufferedWriter) WriteMessage(_ context.Context, m *Message) error {
	text, err := m.Line()
	if err != nil {
		return err
	}
	w.buf.Write(text)
	return nil
}

// Close implements [MessageWriter].
func (w *bufferedWriter) Close() error {
	if w.buf.Len() == 0 {
		return nil
	}
	return w.out.writeLines(w.buf.Bytes())
}

// sharesStream tells that messages go where the process's own output goes.
func (w *bufferedWriter) sharesStream() {}
