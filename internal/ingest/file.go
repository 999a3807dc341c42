package ingest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A file is an input that can be read several times, at any place.
type file interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// localFile is a file on disk, removed at the end if it was only made to be read again.
type localFile struct {
	*os.File
	size   int64
	remove bool
}

// Size is the file's length.
func (f localFile) Size() int64 { return f.size }

// Close implements io.Closer.
func (f localFile) Close() error {
	err := f.File.Close()
	if f.remove {
		if e := os.Remove(f.Name()); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// openFile opens a local file or an object; what cannot be read twice is copied to a temporary file.
func openFile(ctx context.Context, o SourceOptions) (file, error) {
	switch {
	case o.From == "-":
		if o.Stdin == nil {
			return copyToFile(bytes.NewReader(nil))
		}
		return copyToFile(o.Stdin)
	case strings.HasPrefix(o.From, "s3://"):
		return openObject(ctx, o)
	}
	f, err := os.Open(strings.TrimPrefix(o.From, "file://"))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		return localFile{f, info.Size(), false}, nil
	}
	if err == nil && info.IsDir() {
		err = errors.New("is a folder")
	}
	if err == nil { // a pipe or a device
		copied, copyErr := copyToFile(f)
		return copied, errors.Join(copyErr, f.Close())
	}
	return nil, errors.Join(err, f.Close())
}

func openObject(ctx context.Context, o SourceOptions) (file, error) {
	dir, name := path.Split(o.From)
	b, err := bucket.Open(ctx, strings.TrimSuffix(dir, "/"), o.S3)
	if err != nil {
		return nil, err
	}
	r, err := b.Get(ctx, name, 0, -1)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	f, err := copyToFile(r)
	return f, errors.Join(err, r.Close(), b.Close())
}

func copyToFile(r io.Reader) (file, error) {
	f, err := os.CreateTemp("", "metaxy-pipes-*")
	if err != nil {
		return nil, err
	}
	// Removed already, it goes with the process even if that is killed. Where open files cannot be removed, Close does it.
	_ = os.Remove(f.Name())
	n, err := io.Copy(f, r)
	if err != nil {
		return nil, errors.Join(err, localFile{f, n, true}.Close())
	}
	return localFile{f, n, true}, nil
}

// reader reads a file from its beginning, without a byte order mark.
func reader(f file) io.Reader {
	const mark = "\xef\xbb\xbf"
	head := make([]byte, len(mark))
	if n, _ := f.ReadAt(head, 0); n == len(mark) && string(head) == mark {
		return io.NewSectionReader(f, int64(len(mark)), f.Size()-int64(len(mark)))
	}
	return io.NewSectionReader(f, 0, f.Size())
}
