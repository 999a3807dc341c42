package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSpool holds an answer that does not fit into memory. Its file has no name any more while it is in use, so that
// nothing stays behind when a closed pipe kills the process.
func TestSpool(t *testing.T) { // not parallel: it sets an environment variable
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var want, got bytes.Buffer
	s := &spool{}
	for range 3 {
		part := []byte(strings.Repeat("0123456789", spoolMemory/20))
		want.Write(part)
		if _, err := s.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if s.rest == nil {
		t.Fatal("everything is held in memory")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 && os.PathSeparator == '/' {
		t.Errorf("while it is in use there is %q, %v", left, err)
	}
	if err := s.Flush(&got); err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes come back of %d, %v", got.Len(), want.Len(), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
