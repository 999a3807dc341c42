package bucket

import (
	"context"
	"io"
	"iter"
	"sync/atomic"
)

// Usage counts requests to a bucket and the bytes of objects that they moved. On S3 these are requests over the network,
// as they are billed: those that were sent again, the pages of a listing and the parts of an upload included. In a folder
// they are calls.
type Usage struct {
	Reads, Writes, Lists, Deletes int64 // requests, by kind
	BytesRead, BytesWritten       int64
}

// A Metered bucket counts what is asked of it.
type Metered interface {
	Bucket
	// Usage is what was asked since the bucket was opened.
	Usage() Usage
}

// Meter returns a bucket that counts what is asked of b: b itself if it does. It offers RandomAccess if b does.
func Meter(b Bucket) Metered {
	if m, ok := b.(Metered); ok {
		return m
	}
	m := &metered{Bucket: b}
	if r, ok := b.(RandomAccess); ok {
		return &meteredAccess{metered: m, access: r}
	}
	return m
}

// A meter counts; it is safe for concurrent use.
type meter struct {
	reads, writes, lists, deletes, bytesRead, bytesWritten atomic.Int64
}

func (m *meter) usage() Usage {
	return Usage{Reads: m.reads.Load(), Writes: m.writes.Load(), Lists: m.lists.Load(), Deletes: m.deletes.Load(),
		BytesRead: m.bytesRead.Load(), BytesWritten: m.bytesWritten.Load()}
}

// A countedBody counts the bytes that are read from it.
type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// metered counts the calls of a bucket that does not count by itself.
type metered struct {
	Bucket
	meter meter
}

// Usage implements Metered.
func (m *metered) Usage() Usage { return m.meter.usage() }

// Get implements Bucket.
func (m *metered) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	m.meter.reads.Add(1)
	body, err := m.Bucket.Get(ctx, name, off, n)
	if err != nil {
		return nil, err
	}
	return &countedBody{body, &m.meter.bytesRead}, nil
}

// Create implements Bucket.
func (m *metered) Create(ctx context.Context, name string, body []byte) error {
	m.meter.writes.Add(1)
	err := m.Bucket.Create(ctx, name, body)
	if err == nil {
		m.meter.bytesWritten.Add(int64(len(body)))
	}
	return err
}

// Put implements Bucket.
func (m *metered) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	m.meter.writes.Add(1)
	n, err := m.Bucket.Put(ctx, name, body)
	m.meter.bytesWritten.Add(n)
	return n, err
}

// List implements Bucket.
func (m *metered) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		m.meter.lists.Add(1)
		m.Bucket.List(ctx, prefix, after)(yield)
	}
}

// Delete implements Bucket.
func (m *metered) Delete(ctx context.Context, name string) error {
	m.meter.deletes.Add(1)
	return m.Bucket.Delete(ctx, name)
}

// ListUnfinished implements Finisher; a bucket that does not has none.
func (m *metered) ListUnfinished(ctx context.Context, prefix string) iter.Seq2[Unfinished, error] {
	f, ok := m.Bucket.(Finisher)
	if !ok {
		return func(func(Unfinished, error) bool) {}
	}
	m.meter.lists.Add(1)
	return f.ListUnfinished(ctx, prefix)
}

// DeleteUnfinished implements Finisher.
func (m *metered) DeleteUnfinished(ctx context.Context, u Unfinished) error {
	m.meter.deletes.Add(1)
	return m.Bucket.(Finisher).DeleteUnfinished(ctx, u)
}

// meteredAccess is metered for a bucket with random access: each ReadAt is a read, and each Look a listing.
type meteredAccess struct {
	*metered
	access RandomAccess
}

// OpenAt implements RandomAccess.
func (m *meteredAccess) OpenAt(ctx context.Context, name string) (File, error) {
	f, err := m.access.OpenAt(ctx, name)
	if err != nil {
		return nil, err
	}
	return &meteredFile{File: f, meter: &m.meter}, nil
}

// Look implements RandomAccess.
func (m *meteredAccess) Look(ctx context.Context, names []string) ([]Object, error) {
	m.meter.lists.Add(1)
	return m.access.Look(ctx, names)
}

type meteredFile struct {
	File
	meter *meter
}

// ReadAt implements io.ReaderAt.
func (f *meteredFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.meter.reads.Add(1)
	f.meter.bytesRead.Add(int64(n))
	return n, err
}
