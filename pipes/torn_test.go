package pipes

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// limited takes a number of bytes, and no more; err is what it then returns.
type limited struct {
	strings.Builder
	left int
	err  error
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) <= l.left {
		l.left -= len(p)
		return l.Builder.Write(p)
	}
	n, _ := l.Builder.Write(p[:l.left])
	l.left = 0
	return n, l.err
}

func (l *limited) Close() error { return nil }

func TestTornLineEndsTheFile(t *testing.T) {
	t.Parallel()
	m := &Message{Version: ProtocolVersion, Method: MethodCustom, Params: []byte(`{"payload":null}`)}
	line, err := m.Line()
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	for name, test := range map[string]struct {
		left      int
		err       error
		wantFirst error
		wantNext  error
	}{
		"nothing was written":      {0, full, full, nil},
		"a part was written":       {10, full, full, errTorn},
		"a part, without an error": {10, nil, io.ErrShortWrite, errTorn},
		"all was written":          {len(line), nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := &limited{left: test.left, err: test.err}
			w := &fileWriter{file: file}
			if err := w.WriteMessage(t.Context(), m); !errors.Is(err, test.wantFirst) {
				t.Errorf("first message: error = %v, want %v", err, test.wantFirst)
			}
			file.left = 1000
			if err := w.WriteMessage(t.Context(), m); !errors.Is(err, test.wantNext) {
				t.Errorf("next message: error = %v, want %v", err, test.wantNext)
			}
			if test.wantNext != nil && file.Len() != test.left {
				t.Errorf("the file has %d bytes, want the %d of the torn line", file.Len(), test.left)
			}
		})
	}
}

func TestStreamGoesOnAfterTornLine(t *testing.T) {
	t.Parallel()
	stream := &limited{left: 3}
	out := NewStreamOutput(stream)
	if err := out.writeLines([]byte("first\n")); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("error = %v, want ErrShortWrite", err)
	}
	stream.left = 1000
	if err := out.writeLines([]byte("second\n")); err != nil {
		t.Fatal(err)
	}
	if got := stream.String(); got != "fir\nsecond\n" {
		t.Errorf("written: %q", got)
	}
}
