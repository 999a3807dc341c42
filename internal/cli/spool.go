package cli

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
)

// spoolMemory is how large an answer is held in memory; a larger one goes to a file.
const spoolMemory = 8 << 20

// A spool holds an answer back until it is known to be complete, so that an error leaves the output empty.
type spool struct {
	head bytes.Buffer
	rest *os.File
}

// Write implements io.Writer.
func (s *spool) Write(p []byte) (int, error) {
	if s.rest == nil && s.head.Len()+len(p) <= spoolMemory {
		return s.head.Write(p)
	}
	if s.rest == nil {
		f, err := os.CreateTemp("", "metaxy-pipes-*")
		if err != nil {
			return 0, err
		}
		// Removed already, it goes with the process even if that is killed, say by a closed pipe. Where open files cannot
		// be removed, Close does it.
		_ = os.Remove(f.Name())
		s.rest = f
		if _, err := f.Write(s.head.Bytes()); err != nil {
			return 0, err
		}
		s.head = bytes.Buffer{} // so that its memory is free for what is to come
	}
	return s.rest.Write(p)
}

// Flush copies the answer to w.
func (s *spool) Flush(w io.Writer) error {
	if _, err := w.Write(s.head.Bytes()); err != nil {
		return err
	}
	if s.rest == nil {
		return nil
	}
	if _, err := s.rest.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.rest)
	return err
}

// Close removes what the spool holds.
func (s *spool) Close() error {
	if s.rest == nil {
		return nil
	}
	name := s.rest.Name()
	err := s.rest.Close()
	if e := os.Remove(name); err == nil && !errors.Is(e, fs.ErrNotExist) {
		err = e
	}
	return err
}
