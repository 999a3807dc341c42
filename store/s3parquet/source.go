package s3parquet

import (
	"context"
	"errors"
	"io"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A source gives random access to a data file.
type source interface {
	io.ReaderAt
	io.Closer
}

// openSource opens an object of a known size. In a folder that is the file; elsewhere each read is a request.
func (s *Store) openSource(ctx context.Context, name string, size int64) (source, error) {
	if r, ok := s.bucket.(bucket.RandomAccess); ok {
		return r.OpenAt(ctx, name)
	}
	return &ranges{ctx: ctx, store: s, name: name, size: size}, nil
}

// ranges reads an object by ranged requests; its reader merges neighbouring ones. The context is that of the one scan or
// fetch it is made for: io.ReaderAt has no place for it.
type ranges struct {
	ctx   context.Context
	store *Store
	name  string
	size  int64
}

// ReadAt implements io.ReaderAt.
func (r *ranges) ReadAt(p []byte, off int64) (int, error) {
	want := min(int64(len(p)), max(r.size-off, 0))
	if want == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	body, err := r.store.bucket.Get(r.ctx, r.name, off, want)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(body, p[:want])
	err = errors.Join(err, body.Close())
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (r *ranges) Close() error { return nil }
