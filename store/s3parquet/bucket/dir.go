package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tempPrefix starts the names of files that are not complete yet. They are never listed, and no object may have such
// a name. The leading dot keeps other readers of a table away from them.
const tempPrefix = ".metaxy-tmp-"

// A Dir is a Bucket in a local folder, an object being a file. The folder need not exist before the first write.
//
// An object that is written survives a crash of the machine: files and folders are synced before a call returns.
type Dir struct {
	root string
	link func(from, to string) error // os.Link, but for tests
}

var _ RandomAccess = (*Dir)(nil)

// OpenDir returns the bucket in a folder. A leading "~/" stands for the user's home.
func OpenDir(path string) (*Dir, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return nil, fmt.Errorf("open store %q: not a path of a folder", path)
	}
	if path == "~" || strings.HasPrefix(path, "~/") {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("open store %q: %w", path, err)
		}
		path = filepath.Join(home, path[1:])
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", path, err)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("open store %q: it is a file; a store is a folder", path)
	}
	return &Dir{root: root, link: os.Link}, nil
}

// openFileURL opens what stands behind "file://": /path, or localhost/path. As in Metaxy, file://path is the
// relative path.
func openFileURL(rest string) (*Dir, error) {
	if strings.HasPrefix(rest, "localhost/") {
		rest = strings.TrimPrefix(rest, "localhost")
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", "file://"+rest, err)
	}
	return OpenDir(path)
}

// URI implements Bucket.
func (d *Dir) URI(name string) string {
	path := filepath.ToSlash(filepath.Join(d.root, filepath.FromSlash(name)))
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// Close implements Bucket.
func (d *Dir) Close() error { return nil }

// path returns the file of an object.
func (d *Dir) path(op, name string) (string, error) {
	local := filepath.FromSlash(name)
	base := name[strings.LastIndexByte(name, '/')+1:]
	if CheckName(name) != nil || !filepath.IsLocal(local) || strings.HasPrefix(base, tempPrefix) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return filepath.Join(d.root, local), nil
}

// Get implements Bucket.
func (d *Dir) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	f, err := d.open(ctx, "get", name)
	if err != nil {
		return nil, err
	}
	if n < 0 {
		n = max(f.size-off, 0)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, off, n), f}, nil
}

// OpenAt implements RandomAccess.
func (d *Dir) OpenAt(ctx context.Context, name string) (File, error) {
	f, err := d.open(ctx, "open", name)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// dirFile is a file with the size that it had when it was opened.
type dirFile struct {
	*os.File
	size int64
}

// Size implements File.
func (f *dirFile) Size() int64 { return f.size }

func (d *Dir) open(ctx context.Context, op, name string) (*dirFile, error) {
	path, err := d.path(op, name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, notDirectory(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: op, Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &dirFile{f, info.Size()}, nil
}

// notDirectory turns "a part of the path is a file" into "does not exist", which it is in a bucket.
func notDirectory(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && errors.Is(err, syscall.ENOTDIR) {
		return &fs.PathError{Op: path.Op, Path: path.Path, Err: fs.ErrNotExist}
	}
	return err
}

// Create implements Bucket. The body is complete before it has its name, because a hard link gives it the name in
// one step. Where the file system has no hard links, the file is created under its name and then filled, so that a
// reader may see the beginning of it for a moment; the exclusion of other writers holds there too.
func (d *Dir) Create(ctx context.Context, name string, body []byte) error {
	path, err := d.path("create", name)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	temp, _, err := d.writeTemp(ctx, filepath.Dir(path), strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	err = d.link(temp, path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	case noLinks(err):
		if err := createExclusively(path, body); err != nil {
			return err
		}
	case err != nil:
		return &fs.PathError{Op: "create", Path: path, Err: errors.Unwrap(err)}
	}
	return syncDir(filepath.Dir(path))
}

// noLinks reports whether a file system refuses hard links as such.
func noLinks(err error) bool {
	for _, e := range []syscall.Errno{syscall.EPERM, syscall.ENOTSUP, syscall.ENOSYS, syscall.EMLINK, syscall.EXDEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func createExclusively(path string, body []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Put implements Bucket.
func (d *Dir) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	path, err := d.path("put", name)
	if err != nil {
		return 0, err
	}
	temp, n, err := d.writeTemp(ctx, filepath.Dir(path), body)
	if err != nil {
		return 0, err
	}
	if err := os.Rename(temp, path); err != nil {
		return 0, errors.Join(err, os.Remove(temp))
	}
	return n, syncDir(filepath.Dir(path))
}

// Delete implements Bucket. Folders stay.
func (d *Dir) Delete(ctx context.Context, name string) error {
	path, err := d.path("delete", name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return gone(notDirectory(os.Remove(path)))
}

// writeTemp writes a synced file with a name of its own into a folder, which it makes if need be.
func (d *Dir) writeTemp(ctx context.Context, dir string, body io.Reader) (path string, n int64, err error) {
	if err := ctx.Err(); err != nil {
		return "", 0, err
	}
	if err := makeDir(dir); err != nil {
		return "", 0, err
	}
	path = filepath.Join(dir, tempPrefix+rand.Text())
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return "", 0, err
	}
	n, err = io.Copy(f, &contextReader{ctx, body})
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return "", 0, errors.Join(err, os.Remove(path))
	}
	return path, n, nil
}

// contextReader stops reading when its context is done. It lives for one call only.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// makeDir makes a folder and those above it, each synced into the one that holds it.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// syncDir makes the names in a folder survive a crash, as far as the file system lets folders be synced.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
