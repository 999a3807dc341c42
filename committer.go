package metaxy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const (
	// flushRows is how many rows make a commit unless the options say otherwise.
	flushRows = 10_000
	// flushPause is how far such commits are apart at least, so that a run of fast work does not leave many small files
	// behind. It is also how much work a crash loses then.
	flushPause = time.Second
	// maxRows and maxBytes are how many rows, and of which size, wait for a commit at most.
	maxRows  = 64 << 10
	maxBytes = 32 << 20
)

// A committer gathers finished samples and commits them in turn, while the next ones come in. One goroutine owns it; the
// commit that is under way owns what it was given.
type committer struct {
	*job
	inc    *engine.Increment
	buffer []outcome // with finished samples
	rows   int64
	bytes  int64
	timer  *time.Timer

	inputs, results rowSize

	digest *engine.Digest // of the table as it is after the last commit; nil if that is not known; owned by the commit

	begun    time.Time     // of the last commit; zero before the first
	underWay chan struct{} // closed when the last commit has ended; nil before the first
}

// collect takes outcomes until there are no more, and commits the finished samples: after so many rows, after so much
// time, and at the end. When a commit has failed it goes on taking outcomes, since workers wait for that, but commits
// nothing more.
func (c *committer) collect(ctx context.Context, in <-chan outcome) {
	c.timer = time.NewTimer(c.o.FlushInterval)
	defer c.timer.Stop()
	for {
		select {
		case o, more := <-in:
			if !more {
				c.flush(ctx)
				c.wait()
				return
			}
			c.take(o)
			if c.due() {
				c.flush(ctx)
			}
		case <-c.timer.C:
			c.flush(ctx)
		}
	}
}

// take puts finished samples into the buffer and notes the failed ones.
func (c *committer) take(o outcome) {
	for _, f := range o.failed {
		c.fail(f)
	}
	if len(o.done) == 0 {
		return
	}
	if len(c.buffer) == 0 {
		c.timer.Reset(c.o.FlushInterval) // counted from the first row
	}
	c.succeed(len(o.done))
	c.buffer = append(c.buffer, o)
	for _, f := range o.done {
		c.rows += f.size()
		c.bytes += c.inputs.of(f.sample.rows) + int64(len(f.rows))*c.results.of(f.result)
		for _, o := range f.objects {
			c.bytes += int64(len(o))
		}
	}
}

// A rowSize knows the mean size of a row of the batch that it was asked for last.
type rowSize struct {
	rec   arrow.RecordBatch
	bytes int64
}

// of is 0 for nil.
func (s *rowSize) of(rec arrow.RecordBatch) int64 {
	if rec != s.rec {
		if s.rec, s.bytes = rec, 0; rec != nil && rec.NumRows() > 0 {
			s.bytes = store.Size(rec) / rec.NumRows()
		}
	}
	return s.bytes
}

// due reports whether there is enough to commit.
func (c *committer) due() bool {
	switch {
	case c.bytes >= maxBytes:
		return true
	case c.o.FlushRows > 0:
		return c.rows >= c.o.FlushRows
	}
	return c.rows >= maxRows || c.rows >= flushRows && time.Since(c.begun) >= flushPause
}

// flush begins to commit the buffer when the commit before has ended.
func (c *committer) flush(ctx context.Context) {
	c.wait()
	done := asTakenIn(c.buffer)
	c.buffer, c.rows, c.bytes = nil, 0, 0
	if len(done) == 0 || c.unstorable {
		return
	}
	ended := make(chan struct{})
	c.begun, c.underWay = time.Now(), ended
	go func() {
		defer close(ended)
		c.keep(ctx, done)
	}()
}

// asTakenIn are the samples in the order in which they were taken in, which is most often that in which their rows are to be
// stored: several workers finish them in another one.
func asTakenIn(outcomes []outcome) []finished {
	slices.SortStableFunc(outcomes, func(a, b outcome) int { return cmp.Compare(a.number, b.number) })
	n := 0
	for _, o := range outcomes {
		n += len(o.done)
	}
	done := make([]finished, 0, n)
	for _, o := range outcomes {
		done = append(done, o.done...)
	}
	return done
}

// wait returns when no commit is under way.
func (c *committer) wait() {
	if c.underWay != nil {
		<-c.underWay
	}
}

// keep commits samples, or ends the run.
func (c *committer) keep(ctx context.Context, done []finished) {
	digest := c.digest
	marks := func(kept int, rows arrow.RecordBatch, onto store.Snapshot) map[string]int64 {
		digest = c.digested(c.digest, rows, onto)
		if kept < len(done) {
			return nil
		}
		marks := c.settledMarks(c.inc, int64(kept), onto)
		if marks != nil && digest != nil {
			maps.Copy(marks, digest.Marks(c.f, versionOf(onto)+1))
		}
		return marks
	}
	done, err := c.commit(ctx, done, marks)
	if err != nil {
		c.unstorable = true
		c.abort(fmt.Errorf("commit %d samples of %s: %w", len(done), c.f.Key(), err))
		return
	}
	c.digest = digest
	c.count.processed.Add(int64(len(done)))
}
