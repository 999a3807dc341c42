package engine

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
)

// ErrDisk reports that a resolve needs a temporary file and there is no room for it.
var ErrDisk = errors.New("engine: no room for a temporary file")

// A spillFile is a private temporary file for what does not fit the memory. It is made with the first write, has no name
// where the system allows it, and is gone when the process ends, however that happens.
type spillFile struct {
	expected int64 // about how many bytes will be written

	once sync.Once
	file *os.File
	err  error
	used atomic.Int64
}

// write appends bytes and returns where they are.
func (s *spillFile) write(b []byte) (int64, error) {
	s.once.Do(func() { s.file, s.err = s.create() })
	if s.err != nil {
		return 0, s.err
	}
	off := s.used.Add(int64(len(b))) - int64(len(b))
	if _, err := s.file.WriteAt(b, off); err != nil {
		return 0, fmt.Errorf("%w in %s after %d bytes: %w; free some, set TMPDIR to a folder on a larger disk, or allow more "+
			"memory", ErrDisk, os.TempDir(), off, err)
	}
	return off, nil
}

// create makes the file if the disk has room for what is expected, and as much again as a tenth of it.
func (s *spillFile) create() (*os.File, error) {
	need := s.expected + s.expected/10
	if free, ok := freeDisk(os.TempDir()); ok && free < need {
		return nil, fmt.Errorf("%w: about %d MiB are needed in %s, and %d MiB are free; free some, set TMPDIR to a folder on "+
			"a larger disk, or allow more memory", ErrDisk, need>>20, os.TempDir(), free>>20)
	}
	f, err := os.CreateTemp("", "metaxy-resolve-*")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDisk, err)
	}
	if runtime.GOOS != "windows" { // there a file that is open cannot be removed
		err = os.Remove(f.Name())
	}
	return f, err
}

// read fills b from an offset.
func (s *spillFile) read(b []byte, off int64) error {
	if _, err := s.file.ReadAt(b, off); err != nil {
		return fmt.Errorf("read back a temporary file in %s: %w", os.TempDir(), err)
	}
	return nil
}

func (s *spillFile) close() {
	if s.file == nil {
		return
	}
	_ = s.file.Close()
	if runtime.GOOS == "windows" {
		_ = os.Remove(s.file.Name())
	}
}
