package pipes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	capturePause = 500 * time.Millisecond // for which captured output may wait for more
	captureSize  = 32 << 10               // bytes of output that wait for no more
	quiet        = 50 * time.Millisecond  // without output of children after which there is none
	lastOutput   = time.Second            // for which the last output is waited for
)

// capturing is held by the capture of this process; there can be only one, since the descriptors are the process's.
var capturing sync.Mutex

// errCaptured tells that another session has the descriptors.
var errCaptured = errors.New("another session of this process forwards them already")

// A capture forwards what this process and its children write to descriptors 1 and 2, beside passing it on to where it
// went before.
type capture struct {
	streams []*capturedStream
	once    sync.Once
}

// A capturedStream is one of the two.
type capturedStream struct {
	session  *Session
	name     Stream
	fd       int
	original *os.File // where fd led to before
	pipe     *os.File // what is written to fd comes out here
	stopping atomic.Bool
	drained  chan struct{} // closed when everything written before stop was forwarded
}

// startCapture begins to forward the standard streams of this process to the session.
func startCapture(s *Session) (*capture, error) {
	if !capturing.TryLock() {
		return nil, errCaptured
	}
	c := new(capture)
	for _, stream := range []struct {
		name Stream
		fd   int
	}{{Stdout, 1}, {Stderr, 2}} {
		original, pipe, err := redirect(stream.fd)
		if err != nil {
			c.stop()
			return nil, fmt.Errorf("redirect %s: %w", stream.name, err)
		}
		captured := &capturedStream{
			session: s, name: stream.name, fd: stream.fd, original: original, pipe: pipe, drained: make(chan struct{}),
		}
		if stream.name == Stderr {
			// When the process crashes nobody reads the pipe any more.
			_ = debug.SetCrashOutput(original, debug.CrashOptions{})
		}
		c.streams = append(c.streams, captured)
		go captured.pump()
	}
	return c, nil
}

// stop gives the descriptors back and returns when what was written before has been forwarded. Children that still write
// into the pipe are copied to the original stream as long as this process lives.
func (c *capture) stop() {
	if c == nil {
		return
	}
	c.once.Do(func() {
		for _, s := range c.streams {
			if err := restore(s.original, s.fd); err != nil {
				complain(fmt.Errorf("pipes: give back %s: %w", s.name, err))
			}
			s.stopping.Store(true)
			_ = s.pipe.SetReadDeadline(time.Now().Add(quiet))
		}
		deadline := time.After(lastOutput)
		for _, s := range c.streams {
			select {
			case <-s.drained:
			case <-deadline:
			}
		}
		_ = debug.SetCrashOutput(nil, debug.CrashOptions{})
		capturing.Unlock()
	})
}

// pump forwards until the stream is drained, and then copies what children still write.
func (s *capturedStream) pump() {
	err := s.forward()
	close(s.drained)
	if !errors.Is(err, io.EOF) {
		_ = s.pipe.SetReadDeadline(time.Time{})
		_, _ = io.Copy(s.original, s.pipe) // nobody is left to hear of an error
	}
	_ = s.pipe.Close()
	_ = s.original.Close()
}

// forward copies the pipe to the original stream and the session. It returns io.EOF when nobody can write any more, and
// another error when the stream is drained after stop.
func (s *capturedStream) forward() error {
	var waiting []byte
	var since time.Time // when the oldest waiting output came
	buf := make([]byte, captureSize)
	for {
		s.setDeadline(len(waiting) > 0, since)
		n, err := s.pipe.Read(buf)
		if n > 0 {
			if len(waiting) == 0 {
				since = time.Now()
			}
			_, _ = s.original.Write(buf[:n]) // a stream that is gone does not keep its text from Dagster
			waiting = append(waiting, buf[:n]...)
		}
		late := errors.Is(err, os.ErrDeadlineExceeded)
		last := err != nil && (!late || s.stopping.Load())
		if last || late || len(waiting) >= captureSize || time.Since(since) > capturePause {
			waiting = s.send(waiting, last)
		}
		if last {
			return err
		}
	}
}

// setDeadline bounds how long the next read may wait.
func (s *capturedStream) setDeadline(waiting bool, since time.Time) {
	switch {
	case s.stopping.Load():
		_ = s.pipe.SetReadDeadline(time.Now().Add(quiet))
	case waiting:
		_ = s.pipe.SetReadDeadline(since.Add(capturePause))
	default:
		_ = s.pipe.SetReadDeadline(time.Time{})
		if s.stopping.Load() { // stop may have set its deadline just before
			_ = s.pipe.SetReadDeadline(time.Now().Add(quiet))
		}
	}
}

// send sends output to Dagster and returns what is left of it: the beginning of a character, unless this is the last.
func (s *capturedStream) send(text []byte, last bool) []byte {
	n := len(text)
	if !last {
		n = wholeCharacters(text)
	}
	if n == 0 {
		return text
	}
	if err := s.session.Forward(context.Background(), s.name, string(text[:n])); err != nil {
		s.session.lost(err)
	}
	return append(text[:0], text[n:]...)
}

// wholeCharacters returns the length of text without a character at its end that is not complete yet.
func wholeCharacters(text []byte) int {
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if c := text[len(text)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(text[len(text)-i:]) {
				return len(text) - i
			}
			break
		}
	}
	return len(text)
}
