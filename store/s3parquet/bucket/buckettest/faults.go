package buckettest

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// ErrInjected is the error of a call that was made to fail.
var ErrInjected = errors.New("injected fault")

// A Mode says how a call fails.
type Mode int

const (
	// Before fails a call before it has done anything.
	Before Mode = iota
	// After does what was asked for and then reports an error, like a connection that breaks before the answer.
	After
	// Midway breaks off a body: half of what Get returns, half of a listing, half of what Put would read.
	Midway
)

// Modes are all modes, for loops over them.
func Modes() []Mode { return []Mode{Before, After, Midway} }

// String names the mode.
func (m Mode) String() string { return [...]string{"before", "after", "midway"}[m] }

// Faults is a Bucket in which one call fails, or all from one on. It is safe for concurrent use.
type Faults struct {
	bucket.Bucket
	Fail  int64 // the call that fails, counted from 0; negative means none
	Mode  Mode  // how it fails
	Stuck bool  // all later calls fail too, as when the network stays away

	calls atomic.Int64
}

// Calls is how many calls were made. Close and URI do not count.
func (f *Faults) Calls() int64 { return f.calls.Load() }

// fault counts a call and returns the error it is to fail with.
func (f *Faults) fault() error {
	n := f.calls.Add(1) - 1
	if f.Fail >= 0 && (n == f.Fail || f.Stuck && n > f.Fail) {
		return ErrInjected
	}
	return nil
}

// Get implements bucket.Bucket.
func (f *Faults) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	fault := f.fault()
	if fault != nil && f.Mode == Before {
		return nil, fault
	}
	r, err := f.Bucket.Get(ctx, name, off, n)
	if fault == nil || err != nil {
		return r, err
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil || f.Mode == After {
		return nil, errors.Join(fault, err)
	}
	return io.NopCloser(&torn{body: body[:len(body)/2], err: fault}), nil
}

// Create implements bucket.Bucket.
func (f *Faults) Create(ctx context.Context, name string, body []byte) error {
	fault := f.fault()
	if fault != nil && f.Mode != After {
		return fault
	}
	return errors.Join(f.Bucket.Create(ctx, name, body), fault)
}

// Put implements bucket.Bucket.
func (f *Faults) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	fault := f.fault()
	if fault != nil && f.Mode == Before {
		return 0, fault
	}
	if fault != nil && f.Mode == Midway {
		start := make([]byte, 10)
		n, _ := io.ReadFull(body, start)
		body = &torn{body: start[:n], err: fault}
	}
	n, err := f.Bucket.Put(ctx, name, body)
	if fault != nil {
		return 0, errors.Join(err, fault)
	}
	return n, err
}

// List implements bucket.Bucket.
func (f *Faults) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		fault := f.fault()
		if fault != nil && f.Mode == Before {
			yield(bucket.Object{}, fault)
			return
		}
		n := 0
		for o, err := range f.Bucket.List(ctx, prefix, after) {
			if n++; fault != nil && f.Mode == Midway && n > 1 {
				break
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
		if fault != nil {
			yield(bucket.Object{}, fault)
		}
	}
}

// Delete implements bucket.Bucket.
func (f *Faults) Delete(ctx context.Context, name string) error {
	fault := f.fault()
	if fault != nil && f.Mode != After {
		return fault
	}
	return errors.Join(f.Bucket.Delete(ctx, name), fault)
}

// torn reads a body and then fails.
type torn struct {
	body []byte
	err  error
}

func (t *torn) Read(p []byte) (int, error) {
	if len(t.body) == 0 {
		return 0, t.err
	}
	n := copy(p, t.body)
	t.body = t.body[n:]
	return n, nil
}
