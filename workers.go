package metaxy

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/cenkalti/backoff/v5"
)

// An outcome is what became of some samples.
type outcome struct {
	number int // of the batch that they came in
	done   []finished
	failed []failedSample
}

type failedSample struct {
	sample
	err error
}

// work processes batches until there are no more. The receiver of the outcomes takes them all, whatever happens.
func (j *job) work(ctx, stop context.Context, out chan<- outcome) {
	var in <-chan *Batch = j.queue.in
	for {
		b, ok := j.queue.next(&in)
		if !ok {
			return
		}
		if !b.spare || stop.Err() == nil { // what was given back has not begun
			j.settle(ctx, stop, b, out)
		}
		j.queue.open.Done()
	}
}

// settle processes a batch and tries what failed again, as often as the options say.
func (j *job) settle(ctx, stop context.Context, b *Batch, out chan<- outcome) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = j.o.RetryDelay
	todo := []*Batch{b}
	for try := 0; ; try++ {
		var again []*Batch
		var unsettled []failedSample
		for _, b := range todo {
			t := j.attempt(ctx, b)
			out <- outcome{number: b.number, done: t.done, failed: t.failed}
			again, unsettled = append(again, t.again...), append(unsettled, t.unsettled...)
		}
		if len(again) == 0 {
			return
		}
		if try >= j.o.Retries || !wait(ctx, stop, pause.NextBackOff()) {
			out <- outcome{failed: unsettled}
			return
		}
		todo = again
	}
}

// wait pauses before a retry. It returns false if the run is to end instead.
func wait(ctx, stop context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop.Done():
	case <-ctx.Done():
	}
	return false
}

// A trial is what one attempt at a batch has led to.
type trial struct {
	outcome
	unsettled []failedSample // what may be tried again, with the reasons
	again     []*Batch       // the same samples
}

// attempt calls the processor once. Samples that the processor itself has marked as failed are tried again together;
// those that failed with the call as a whole one by one, so that a bad one does not fail the others again.
func (j *job) attempt(ctx context.Context, b *Batch) trial {
	done, err := j.process(ctx, b)
	failed := b.failures()
	t := trial{outcome: outcome{done: done}}
	var groups [][]int
	var together []int
	for s, smp := range b.samples {
		cause := failed[s]
		if cause == nil {
			cause = err
		}
		if cause == nil {
			continue
		}
		var permanent *backoff.PermanentError
		var held *heldError
		switch {
		case ctx.Err() != nil:
			j.count.interrupted.Add(1) // cut off by the end of the run, which is not the sample's fault
			continue
		case errors.As(cause, &permanent):
			t.failed = append(t.failed, failedSample{smp, cause})
			continue
		case failed[s] == nil || errors.As(cause, &held):
			groups = append(groups, []int{s})
		default:
			together = append(together, s)
		}
		t.unsettled = append(t.unsettled, failedSample{smp, cause})
	}
	if together != nil {
		groups = append(groups, together)
	}
	for _, g := range groups {
		sub, err := b.subset(g)
		if err != nil {
			j.end(err)
			return t
		}
		t.again = append(t.again, sub)
	}
	return t
}

// process calls the processor and checks what it returns.
func (j *job) process(ctx context.Context, b *Batch) ([]finished, error) {
	begin := time.Now()
	a, err := j.ask(ctx, b)
	took := time.Since(begin)
	for _, s := range a.back {
		one, err := b.subset([]int{s})
		if err != nil {
			return nil, err
		}
		j.queue.giveBack(one, 1)
	}
	if a.left > 0 {
		begun := len(b.samples) - a.left
		j.queue.giveBack(b.cut(begun), perCall(begun, took, callTime))
	}
	if j.pace.limit > 0 {
		j.pace.note(len(b.samples), took, err == nil && a.back == nil && len(b.failures()) == 0)
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		logPanic(b, 0, panicked)
	}
	if err != nil {
		return nil, err
	}
	done, err := j.rel.match(b, a)
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	return j.checked(b, done), nil
}

func (j *job) ask(ctx context.Context, b *Batch) (answer, error) {
	if p, ok := j.step.Process.(guardedAnswerer); ok {
		return p.answer(ctx, b)
	}
	return call(ctx, b.perBatch(), func(ctx context.Context) (answer, error) {
		if p, ok := j.step.Process.(answerer); ok {
			return p.answer(ctx, b)
		}
		rows, err := j.step.Process.Process(ctx, b)
		return answer{rows: rows}, err
	})
}

// checked keeps the samples whose rows fit the table. JSON that does not fit fails its sample; Arrow columns that do not
// fit end the run, since they would fail every sample.
func (j *job) checked(b *Batch, done []finished) []finished {
	if j.rows.fitTogether(done) {
		return done
	}
	var fitting arrow.RecordBatch // the samples of a batch most often share a result
	return slices.DeleteFunc(done, func(f finished) bool {
		if f.objects == nil && f.result != nil && f.result == fitting {
			return false
		}
		err := j.rows.fits(f)
		if err == nil {
			if len(f.rows) > 0 {
				fitting = f.result
			}
			return false
		}
		if f.objects == nil {
			j.end(&SetupError{err})
		}
		b.fail(slices.IndexFunc(b.samples, func(s sample) bool { return s.key == f.key }), err)
		return true
	})
}

func logPanic(b *Batch, s int, p *PanicError) {
	b.Log.Error("the processor panicked", "feature", b.Feature.Key(), "sample", shorten(b.samples[s].key, 200),
		"panic", p.Value, "stack", string(p.Stack))
}
