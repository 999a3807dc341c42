package buckettest

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// Memory is a Bucket in memory, for tests that make very many calls. The zero value is empty. It is safe for concurrent
// use.
type Memory struct {
	mu      sync.Mutex
	objects map[string]object
}

// An object is what is stored under a name.
type object struct {
	body []byte
	time time.Time
}

func (m *Memory) check(ctx context.Context, op, name string) error {
	if err := bucket.CheckName(name); err != nil {
		return &fs.PathError{Op: op, Path: m.URI(name), Err: err}
	}
	if err := ctx.Err(); err != nil {
		return &fs.PathError{Op: op, Path: m.URI(name), Err: err}
	}
	return nil
}

// Get implements bucket.Bucket.
func (m *Memory) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	if err := m.check(ctx, "get", name); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[name]
	if !ok {
		return nil, &fs.PathError{Op: "get", Path: m.URI(name), Err: fs.ErrNotExist}
	}
	body := o.body[min(off, int64(len(o.body))):]
	if n >= 0 {
		body = body[:min(n, int64(len(body)))]
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// Create implements bucket.Bucket.
func (m *Memory) Create(ctx context.Context, name string, body []byte) error {
	if err := m.check(ctx, "create", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[name]; ok {
		return &fs.PathError{Op: "create", Path: m.URI(name), Err: fs.ErrExist}
	}
	m.store(name, bytes.Clone(body))
	return nil
}

// Put implements bucket.Bucket.
func (m *Memory) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	if err := m.check(ctx, "put", name); err != nil {
		return 0, err
	}
	all, err := io.ReadAll(body)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.store(name, all)
	return int64(len(all)), nil
}

func (m *Memory) store(name string, body []byte) {
	if m.objects == nil {
		m.objects = map[string]object{}
	}
	m.objects[name] = object{body, time.Now()}
}

// List implements bucket.Bucket.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(bucket.Object{}, err)
			return
		}
		m.mu.Lock()
		objects := maps.Clone(m.objects)
		m.mu.Unlock()
		for _, name := range slices.Sorted(maps.Keys(objects)) {
			o := objects[name]
			found := bucket.Object{Name: name, Size: int64(len(o.body)), ModTime: o.time, ETag: fmt.Sprintf("%x", md5.Sum(o.body))}
			if strings.HasPrefix(name, prefix) && name > after && !yield(found, nil) {
				return
			}
		}
	}
}

// Delete implements bucket.Bucket.
func (m *Memory) Delete(ctx context.Context, name string) error {
	if err := m.check(ctx, "delete", name); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}

// URI implements bucket.Bucket.
func (m *Memory) URI(name string) string { return "memory:///" + name }

// Close implements bucket.Bucket.
func (m *Memory) Close() error { return nil }
