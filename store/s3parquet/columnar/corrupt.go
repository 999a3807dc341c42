package columnar

import (
	"errors"
	"fmt"
	"io"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrCorrupt, fmt.Errorf(format, args...))
}

func unsupportedf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", store.ErrUnsupported, fmt.Errorf(format, args...))
}

// recoverCorrupt turns a panic of a decoder into an error. Decoders check what they read; this is for what they miss.
func recoverCorrupt(err *error) {
	if p := recover(); p != nil {
		*err = corruptf("decoder stopped: %v", p)
	}
}

// readAt reads exactly len(p) bytes. A file that is shorter than it claims is corrupt; other errors are the storage's.
func readAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corruptf("file ends at byte %d, within bytes %d to %d", off+int64(n), off, off+int64(len(p)))
	}
	return fmt.Errorf("read bytes %d to %d: %w", off, off+int64(len(p)), err)
}
