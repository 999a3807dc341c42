package metaxy

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// callTime is how long a call of a processor should take at least that works sample by sample: what a call costs by
	// itself is little beside it.
	callTime = time.Millisecond
	// arrowCallTime is callTime for a program that answers a record batch at once, which costs it more, mostly in Python.
	arrowCallTime = 10 * time.Millisecond
	// callLimit is after how long such a call gives back the samples that it has not begun, so that other workers take
	// them. It is how long a result waits at most for those of other samples.
	callLimit = 10 * time.Millisecond
	// maxPace is how many samples such a call gets at most.
	maxPace = 256
	// maxArrowPace is maxPace for a record batch, which is answered as a whole: when its samples turn out to be slow, no other
	// worker can take a part of them. With 64 a sample costs 4 µs of CPU time, with 256 2.5, with 1 120.
	maxArrowPace = 64
)

// A queue hands batches to workers: those of the intake, and before them what workers give back.
type queue struct {
	in    chan *Batch    // without a buffer: what is sent is in work
	spare chan *Batch    // small ones; never full, since no worker takes from in while there are any
	open  sync.WaitGroup // batches that are sent or given back, and not yet settled
}

func newQueue(workers int) *queue {
	return &queue{in: make(chan *Batch), spare: make(chan *Batch, workers*maxPace)}
}

// end waits, when the intake has ended, until everything is settled, and lets the workers end.
func (q *queue) end() {
	close(q.in)
	q.open.Wait()
	close(q.spare)
}

// next returns false at the end. in is the worker's own view of the intake, nil once that has ended.
func (q *queue) next(in *<-chan *Batch) (*Batch, bool) {
	select {
	case b, ok := <-q.spare:
		return b, ok
	default:
	}
	for {
		select {
		case b, ok := <-q.spare:
			return b, ok
		case b, ok := <-*in:
			if ok {
				return b, true
			}
			*in = nil
		}
	}
}

// giveBack puts the samples of a batch into the queue, so many at a time. The caller still has a batch open.
func (q *queue) giveBack(b *Batch, size int) {
	for b != nil {
		part := b
		b = b.cut(min(size, len(b.samples)))
		part.spare = true
		q.open.Add(1)
		q.spare <- part
	}
}

// A pace finds out how many samples a call gets: one while they are slow, so that none waits for another and all workers
// have something to do, and more while they are fast. The zero value begins with one.
type pace struct {
	limit int           // 0 means that the number is given, so that there is nothing to find out
	time  time.Duration // that a call should take at least
	n     atomic.Int64
}

// size is how many samples the next call gets.
func (p *pace) size() int { return max(1, int(p.n.Load())) }

// note learns from a call with n samples. After a failed one, calls begin small again, so that a run which is to stop after
// some failures does not try many more.
func (p *pace) note(n int, took time.Duration, good bool) {
	size := min(2*n, perCall(n, took, p.time))
	if !good {
		size = 1
	}
	p.n.Store(int64(max(1, min(size, p.limit))))
}

// perCall is how many samples fill the time of a call, when n of them took so long.
func perCall(n int, took, call time.Duration) int {
	if took <= 0 {
		return math.MaxInt
	}
	return max(1, int(time.Duration(n)*call/took))
}
