package engine

import (
	"bytes"
	"fmt"
	"sort"
	"sync"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A piece is a batch of a sorted run. Several windows may have rows of it; the first worker that does prepares it.
type piece struct {
	keyedBatch
	order keyColumn // by which the rows ascend
	n     int       // rows
	from  int       // the rows before this one are in windows already
	bytes int64     // of the columns that were read

	prepared sync.Once
	chunk    chunk
	keys     []keyColumn // in the order of the join
	err      error
}

func newPiece(t *keyedTable, b store.Batch, column int) (*piece, error) {
	name := t.scan.keys[t.keys[column]]
	order, err := keyColumns(b.RecordBatch, []string{name})
	if err != nil {
		return nil, err
	}
	p := &piece{order: order[0], n: int(b.NumRows()), bytes: int64(batchBytes(b.RecordBatch))}
	first, ok := t.ordinalOf(b.Ref(0))
	if _, known := t.ordinalOf(b.Ref(p.n - 1)); !ok || !known {
		return nil, fmt.Errorf("%w: a file has more rows than its log says", errUnordered)
	}
	p.keyedBatch = keyedBatch{t, b, first}
	return p, nil
}

// compare orders row i of p and row j of o, which may be of another table.
func (p *piece) compare(i int, o *piece, j int) int { return p.order.compareCell(i, &o.order, j) }

// below is how many rows of the piece come before the last row of another one.
func (p *piece) below(o *piece) int {
	return p.from + sort.Search(p.n-p.from, func(i int) bool { return p.compare(p.from+i, o, o.n-1) >= 0 })
}

// prepare checks the piece and makes it ready for a worker, once.
func (p *piece) prepare(replaced *futureRows) error {
	p.prepared.Do(func() {
		if !p.ascends() {
			p.err = errUnordered
			return
		}
		if p.chunk, p.err = p.table.scan.prepare(p.rows); p.err != nil {
			return
		}
		if p.table.source < 0 {
			replaced.note(&p.chunk)
		}
		p.keys = pickColumns(p.chunk.keys, p.table.keys)
	})
	return p.err
}

// ascends reports whether the rows come in order.
func (p *piece) ascends() bool {
	compare := func(i int) int { return p.compare(i-1, p, i) }
	if o := &p.order; o.class == 's' && o.valid.bits == nil && o.outer.bits == nil {
		compare = func(i int) int { return bytes.Compare(o.value(i-1), o.value(i)) }
	}
	for i := 1; i < p.n; i++ {
		if compare(i) > 0 {
			return false
		}
	}
	return true
}
