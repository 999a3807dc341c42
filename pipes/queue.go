package pipes

import (
	"context"
	"fmt"
	"sync"
)

// Bounds of what waits for the channel.
const (
	maxQueued      = 4096    // log records
	maxQueuedBytes = 4 << 20 // of log records
	maxBatch       = 64 << 10
)

// A logQueue takes log records while the channel is busy, so that who logs need not wait for it. A record that comes when
// the channel is idle is written at once, so that it is not lost if the process ends badly. When the queue is full,
// debug records are dropped and counted, and others wait. Its mutex may be locked while that of the session is held, but
// not the other way round.
type logQueue struct {
	mu       sync.Mutex
	room     sync.Cond // of mu; room was made
	messages []*Message
	bytes    int
	dropped  int  // debug records that nothing was said about yet
	draining bool // a goroutine is there to empty the queue
}

func newLogQueue() *logQueue {
	q := new(logQueue)
	q.room.L = &q.mu
	return q
}

// full reports whether no record is taken; mu is held.
func (q *logQueue) full() bool {
	return len(q.messages) >= maxQueued || q.bytes >= maxQueuedBytes
}

// take removes the oldest records, as many as are written at once, and makes room.
func (q *logQueue) take() (batch []*Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := 0
	for _, m := range q.messages {
		if size += len(m.line); size > maxBatch && len(batch) > 0 {
			break
		}
		q.bytes -= len(m.line)
		batch = append(batch, m)
	}
	q.messages = q.messages[len(batch):]
	if len(q.messages) == 0 {
		q.messages = nil
	}
	q.room.Broadcast()
	return batch
}

// takeDropped returns the number of records that were dropped since the last call.
func (q *logQueue) takeDropped() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.dropped
	q.dropped = 0
	return n
}

// writeLog writes a log record at once if the channel is idle, else it leaves that to another goroutine.
func (s *Session) writeLog(ctx context.Context, m *Message, debug bool) error {
	q := s.queue
	q.mu.Lock()
	if !q.draining && len(q.messages) == 0 && s.mu.TryLock() {
		q.mu.Unlock()
		defer s.mu.Unlock()
		err := s.write(ctx, m)
		s.logErrs.add(1, err)
		return err
	}
	defer q.mu.Unlock()
	if debug && q.full() {
		q.dropped++
		return nil
	}
	for q.full() {
		q.room.Wait()
	}
	q.messages = append(q.messages, m)
	q.bytes += len(m.line)
	if !q.draining {
		q.draining = true
		go s.drain()
	}
	return nil
}

// drain writes what is in the queue until it is empty. The session is locked for one batch at a time, so that reports get
// their turn.
func (s *Session) drain() {
	q := s.queue
	for {
		s.mu.Lock()
		s.writeBatch()
		s.mu.Unlock()
		q.mu.Lock()
		if len(q.messages) == 0 {
			q.draining = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
	}
}

// flush writes all log records that came before, so that what follows comes after them; s.mu is held.
func (s *Session) flush() {
	for s.writeBatch() {
	}
}

// writeBatch writes the oldest records of the queue. It returns false if there was none. s.mu is held.
func (s *Session) writeBatch() bool {
	batch := s.queue.take()
	if len(batch) == 0 {
		return false
	}
	n, err := s.writeAll(batch)
	s.logErrs.add(len(batch)-n, err)
	if dropped := s.queue.takeDropped(); dropped > 0 {
		text := fmt.Sprintf("%d debug records were dropped, since the channel to Dagster is slower than the log", dropped)
		note, err := s.encode(MethodLog, logParams{Message: text, Level: "WARNING"})
		if err == nil {
			err = s.write(context.Background(), note)
		}
		s.logErrs.add(1, err)
	}
	return true
}

// A batchWriter is a channel that writes several messages at once. It returns how many of them it delivered.
type batchWriter interface {
	writeBatch(messages []*Message) (int, error)
}

// writeAll writes messages and returns how many were delivered and why the others were not; s.mu is held.
func (s *Session) writeAll(messages []*Message) (n int, err error) {
	if s.closed {
		return 0, ErrClosed
	}
	if w, ok := s.writer.(batchWriter); ok {
		return w.writeBatch(messages)
	}
	for _, m := range messages {
		if writeErr := s.write(context.Background(), m); writeErr != nil {
			err = writeErr
		} else {
			n++
		}
	}
	return n, err
}
