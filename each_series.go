package metaxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// A series is the calls of a typed function for the samples of one batch, one after the other. They are made in one
// goroutine, which is left behind if the function does not return; what was computed before that is kept.
type series[In, Out any] struct {
	call  func(context.Context, []In) ([]Out, error)
	batch *Batch
	read  func(s int) ([]In, error)

	mu   sync.Mutex
	next int // the sample at hand; those before it are settled
	left int // samples at the end that were not begun, since the others have taken long
	outs []Out
	of   []int // the sample of each
	over bool  // nobody waits for what is still computed
}

func newSeries[In, Out any](t *typed[In, Out], b *Batch) *series[In, Out] {
	return &series[In, Out]{call: t.call, batch: b, read: t.reader(b),
		outs: make([]Out, 0, len(b.samples)), of: make([]int, 0, len(b.samples))}
}

// run returns what was computed, the sample of each, and how many samples it has left alone.
func (s *series[In, Out]) run(ctx context.Context) (outs []Out, of []int, left int) {
	_, err := call(ctx, 0, func(ctx context.Context) (struct{}, error) { s.all(ctx); return struct{}{}, nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if err != nil { // the rest of the samples, beginning with the one that did not return
		for ; s.next < len(s.batch.samples); s.next++ {
			s.batch.fail(s.next, err)
		}
	}
	return s.outs, s.of, s.left
}

// all calls the function for each sample, until the others have to be given back.
func (s *series[In, Out]) all(ctx context.Context) {
	begin := time.Now()
	for i := range s.batch.samples {
		if s.batch.paced && i > 0 && time.Since(begin) > callLimit {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.left = len(s.batch.samples) - i
			return
		}
		made, err := s.one(ctx, i)
		if !s.settle(i, made, err) {
			return
		}
	}
}

// one computes a sample. Only one that has a time limit needs a goroutine of its own.
func (s *series[In, Out]) one(ctx context.Context, i int) ([]Out, error) {
	ins, err := s.read(i)
	if err != nil {
		return nil, backoff.Permanent(fmt.Errorf("read the sample: %w", err))
	}
	fn := func(ctx context.Context) ([]Out, error) { return s.call(ctx, ins) }
	if s.batch.timeout > 0 {
		return call(ctx, s.batch.timeout, fn)
	}
	made, err := caught(ctx, fn)
	return made, because(ctx, err)
}

// settle takes note of what became of a sample. It returns false if nobody waits for the others.
func (s *series[In, Out]) settle(i int, made []Out, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	s.next = i + 1
	var panicked *PanicError
	if errors.As(err, &panicked) {
		logPanic(s.batch, i, panicked)
	}
	if err != nil {
		s.batch.fail(i, err)
		return true
	}
	for range made {
		s.of = append(s.of, i)
	}
	s.outs = append(s.outs, made...)
	return true
}
