package bucket

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// On a file system without hard links there is still one winner, and nothing is left behind.
func TestCreateWithoutLinks(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS} {
		dir := t.TempDir()
		b, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		b.link = func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: refusal} }
		var wins atomic.Int64
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				switch err := b.Create(t.Context(), "log/0.json", []byte("body")); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("%v: Create = %v", refusal, err)
				}
			})
		}
		group.Wait()
		if wins.Load() != 1 {
			t.Errorf("%v: %d winners", refusal, wins.Load())
		}
		entries, err := os.ReadDir(filepath.Join(dir, "log"))
		if err != nil || len(entries) != 1 || entries[0].Name() != "0.json" {
			t.Errorf("%v: the folder holds %v, %v", refusal, entries, err)
		}
		if body, err := os.ReadFile(filepath.Join(dir, "log/0.json")); string(body) != "body" {
			t.Errorf("%v: the object is %q, %v", refusal, body, err)
		}
	}
}

func TestLinkErrorIsReported(t *testing.T) {
	t.Parallel()
	b, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b.link = func(from, to string) error { return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EIO} }
	if err := b.Create(t.Context(), "x", nil); !errors.Is(err, syscall.EIO) {
		t.Errorf("Create = %v, want EIO", err)
	}
	for o, err := range b.List(t.Context(), "", "") {
		t.Errorf("List has %+v, %v", o, err)
	}
}

// Files that are not complete are not listed and cannot be named.
func TestTemporaryFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, tempPrefix+"x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for o, err := range b.List(t.Context(), "", "") {
		t.Errorf("List has %+v, %v", o, err)
	}
	if _, err := b.Get(t.Context(), tempPrefix+"x", 0, -1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Get of a temporary file = %v, want fs.ErrInvalid", err)
	}
}

func TestOpenDir(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Chdir(dir)
	if err := os.WriteFile("file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]string{
		"x": "/x", "./x/": "/x", "~/x": "/x", "~": "", dir + "/a b": "/a%20b", "file://" + dir + "/a%20b": "/a%20b",
		"file://x": "/x", "local://x": "/x", "file://localhost" + dir: "",
	} {
		b, err := Open(t.Context(), location, S3Options{})
		if err != nil {
			t.Errorf("Open(%q): %v", location, err)
			continue
		}
		if got := b.URI(""); got != "file://"+dir+want {
			t.Errorf("Open(%q) is %s, want %s", location, got, "file://"+dir+want)
		}
	}
	if _, err := Open(t.Context(), "file", S3Options{}); err == nil {
		t.Error("a file is opened as a store")
	}
}
