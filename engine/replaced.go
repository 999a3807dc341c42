package engine

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Replaced knows the stored rows from the future: those that were written after the samples were resolved, by the clock
// of whoever wrote them. The newest row of a sample is the one that counts, so a row that takes the place of such a one
// has to be stamped later still, or its sample would stay stale for as long as the clocks differ. It is not safe for
// concurrent use.
type Replaced struct {
	names []string         // of the columns that tell samples apart
	since int64            // in microseconds
	at    map[string]int64 // when the newest row of a sample was written, by its encoded key
}

// Replaced returns the rows that the increment's samples may take the place of, as a beginning for [Replaced.Note].
func (inc *Increment) Replaced() *Replaced {
	r := inc.replaced
	r.at = make(map[string]int64, len(inc.replaced.at))
	for key, at := range inc.replaced.at {
		r.at[key] = at
	}
	return &r
}

// Columns are the columns that tell samples apart, which [Replaced.Note] needs beside those of times.
func (r *Replaced) Columns() []string { return slices.Clone(r.names) }

// replacedRows finds the rows of the target from the future, tombstones too.
func (p *plan) replacedRows(target *table) Replaced {
	f := newFutureRows(p)
	if target != nil {
		for i := range target.chunks {
			f.note(&target.chunks[i])
		}
	}
	return f.rows()
}

// futureRows collects rows of the target from the future, by several goroutines at once.
type futureRows struct {
	keys []int // of a chunk's keys: those that tell samples apart
	mu   sync.Mutex
	seen Replaced
}

func newFutureRows(p *plan) *futureRows {
	f := &futureRows{keys: p.targetCompare, seen: Replaced{since: time.Now().UnixMicro(), at: map[string]int64{}}}
	for _, k := range p.compare {
		f.seen.names = append(f.seen.names, k.name)
	}
	return f
}

// note looks through the rows of a chunk.
func (f *futureRows) note(c *chunk) {
	if !c.reaches(f.seen.since) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	keys := pickColumns(c.keys, f.keys)
	var key []byte
	for i := range max(len(c.updated.fixed), len(c.deleted.fixed)) {
		if at := c.time(i); at >= f.seen.since {
			key, _ = appendKey(key[:0], keys, i)
			f.seen.at[string(key)] = max(at, f.seen.at[string(key)])
		}
	}
}

// rows returns what was found.
func (f *futureRows) rows() Replaced { return f.seen }

// reaches reports whether a row of the chunk was written at the time or later.
func (c *chunk) reaches(at int64) bool {
	late := func(t int64) bool { return t >= at }
	return slices.ContainsFunc(c.updated.fixed, late) || slices.ContainsFunc(c.deleted.fixed, late)
}

// Note takes notice of rows that were stored since. Rows without times are of no interest.
func (r *Replaced) Note(rows arrow.RecordBatch) error {
	var c chunk
	var err error
	if c.updated, err = timeColumn(rows, feature.ColUpdatedAt); err != nil {
		return err
	}
	if c.deleted, err = timeColumn(rows, feature.ColDeletedAt); err != nil {
		return err
	}
	if !c.reaches(r.since) {
		return nil
	}
	keys, err := keyColumns(rows, r.names)
	if err != nil {
		return err
	}
	var key []byte
	for i := range int(rows.NumRows()) {
		if at := c.time(i); at >= r.since {
			key, _ = appendKey(key[:0], keys, i)
			r.at[string(key)] = max(at, r.at[string(key)])
		}
	}
	return nil
}

// times returns when each row is to be stamped: at the given time, but later than the row that it takes the place of.
func (r *Replaced) times(rows arrow.RecordBatch, now int64) ([]int64, error) {
	out := make([]int64, rows.NumRows())
	for i := range out {
		out[i] = now
	}
	if r == nil || len(r.at) == 0 {
		return out, nil
	}
	keys, err := keyColumns(rows, r.names)
	if err != nil {
		return nil, err
	}
	var key []byte
	for i := range out {
		key, _ = appendKey(key[:0], keys, i)
		if at, ok := r.at[string(key)]; ok {
			out[i] = max(now, following(at))
		}
	}
	return out, nil
}

// following is the moment after a time. After the last one of all there is none; there the place decides.
func following(at int64) int64 {
	if at == math.MaxInt64 {
		return at
	}
	return at + 1
}
