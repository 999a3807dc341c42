package buckettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"sync"
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
	// Late reports an error at once and does what was asked for two calls later, like a request that a proxy still holds
	// when its sender has given up. Calls that change nothing fail as with Before.
	Late
	// Short returns half of what Get has, or an empty listing where there is something, and no error. Calls that change
	// something fail as with Before.
	Short
	// Stale lets a listing miss the objects of the last three writes, without an error. Other calls do not fail.
	Stale
)

// Modes are all modes, for loops over them.
func Modes() []Mode { return []Mode{Before, After, Midway, Late, Short, Stale} }

// String names the mode.
func (m Mode) String() string {
	return [...]string{"before", "after", "midway", "late", "short", "stale"}[m]
}

// Silent reports whether reading calls that fail so report no error.
func (m Mode) Silent() bool { return m == Short || m == Stale }

// Faults is a Bucket in which one call fails, or all from one on. It is safe for concurrent use.
type Faults struct {
	bucket.Bucket
	Fail  int64 // the call that fails, counted from 0; negative means none
	Mode  Mode  // how it fails
	Stuck bool  // all later calls fail too, as when the network stays away

	calls  atomic.Int64
	mu     sync.Mutex
	late   []lateCall
	recent []string // the objects of the last writes
}

// A lateCall is done when a later call is made.
type lateCall struct {
	at int64
	do func()
}

// staleWrites is how many of the last writes a stale listing misses.
const staleWrites = 3

// Calls is how many calls were made. Close and URI do not count.
func (f *Faults) Calls() int64 { return f.calls.Load() }

// Settle does what is still to be done late.
func (f *Faults) Settle() { f.doLate(1 << 62) }

// fault counts a call and returns the error it is to fail with.
func (f *Faults) fault() error {
	n := f.calls.Add(1) - 1
	f.doLate(n)
	if f.Fail >= 0 && (n == f.Fail || f.Stuck && n > f.Fail) {
		return ErrInjected
	}
	return nil
}

func (f *Faults) doLate(now int64) {
	f.mu.Lock()
	var due []lateCall
	f.late = slices.DeleteFunc(f.late, func(l lateCall) bool {
		if l.at > now {
			return false
		}
		due = append(due, l)
		return true
	})
	f.mu.Unlock()
	for _, l := range due {
		l.do()
	}
}

// later puts a call off.
func (f *Faults) later(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late, lateCall{f.calls.Load() + 1, do})
}

// wrote notes an object for stale listings.
func (f *Faults) wrote(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, name)
	f.recent = f.recent[max(0, len(f.recent)-staleWrites):]
}

func (f *Faults) isRecent(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.recent, name)
}

// Get implements bucket.Bucket.
func (f *Faults) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	fault := f.fault()
	if f.Mode == Stale {
		fault = nil
	}
	if fault != nil && (f.Mode == Before || f.Mode == Late) {
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
	if f.Mode == Short {
		fault = io.EOF
	}
	return io.NopCloser(&torn{body: body[:len(body)/2], err: fault}), nil
}

// Create implements bucket.Bucket.
func (f *Faults) Create(ctx context.Context, name string, body []byte) error {
	fault := f.fault()
	switch {
	case fault != nil && f.Mode == Late:
		ctx, body := context.WithoutCancel(ctx), bytes.Clone(body)
		f.later(func() { _ = f.Bucket.Create(ctx, name, body) })
		return fault
	case fault != nil && f.Mode == Stale:
		fault = nil
	case fault != nil && f.Mode != After:
		return fault
	}
	f.wrote(name)
	return errors.Join(f.Bucket.Create(ctx, name, body), fault)
}

// Put implements bucket.Bucket.
func (f *Faults) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	fault := f.fault()
	switch {
	case fault != nil && f.Mode == Stale:
		fault = nil
	case fault != nil && (f.Mode == Before || f.Mode == Short):
		return 0, fault
	case fault != nil && f.Mode == Late:
		all, err := io.ReadAll(body)
		if err == nil {
			ctx := context.WithoutCancel(ctx)
			f.later(func() { _, _ = f.Bucket.Put(ctx, name, bytes.NewReader(all)) })
		}
		return 0, errors.Join(err, fault)
	case fault != nil && f.Mode == Midway:
		start := make([]byte, 10)
		n, _ := io.ReadFull(body, start)
		body = &torn{body: start[:n], err: fault}
	}
	f.wrote(name)
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
		if fault != nil && (f.Mode == Before || f.Mode == Late) {
			yield(bucket.Object{}, fault)
			return
		}
		if fault != nil && f.Mode == Short {
			return
		}
		n := 0
		for o, err := range f.Bucket.List(ctx, prefix, after) {
			if n++; fault != nil && f.Mode == Midway && n > 1 {
				break
			}
			if fault != nil && f.Mode == Stale && f.isRecent(o.Name) {
				continue
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
		if fault != nil && f.Mode != Stale {
			yield(bucket.Object{}, fault)
		}
	}
}

// Delete implements bucket.Bucket.
func (f *Faults) Delete(ctx context.Context, name string) error {
	fault := f.fault()
	switch {
	case fault != nil && f.Mode == Late:
		ctx := context.WithoutCancel(ctx)
		f.later(func() { _ = f.Bucket.Delete(ctx, name) })
		return fault
	case fault != nil && f.Mode == Stale:
		fault = nil
	case fault != nil && f.Mode != After:
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
