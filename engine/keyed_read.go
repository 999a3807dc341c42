package engine

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A keyedTable is a table that takes part: of a source, or the target.
type keyedTable struct {
	number int // among those that take part
	scan   *tableScan
	keys   []int // of a chunk's keys, in the order of the join
	source int   // -1 for the target
	times  timeIndex

	spans []rowSpan // where the rows are, in ascending order
	count uint64    // of the row numbers that were given
}

// A rowSpan is rows of a file that are numbered one after the other.
type rowSpan struct {
	first uint64 // number
	ref   store.RowRef
}

// A keyedBatch is a batch of a table whose first row has the given number.
type keyedBatch struct {
	table *keyedTable
	rows  store.Batch
	first uint64
}

// readAheadShare is which part of the memory is for what is read of files before it is decoded.
const readAheadShare = 8

// feed numbers the rows of a table and passes them on.
func (k *keyed) feed(ctx context.Context, t *keyedTable, out chan<- keyedBatch) error {
	q := k.narrow(t.scan.query(), t)
	q.ReadAhead = k.plan.options.MemoryLimit / readAheadShare / int64(len(k.tables))
	for b, err := range t.scan.snap.Scan(ctx, q) {
		if err != nil {
			return fmt.Errorf("read table %q: %w", t.scan.key, err)
		}
		n := int(b.NumRows())
		if n == 0 {
			continue
		}
		first, last := b.Ref(0), b.Ref(n-1)
		next := keyedBatch{t, b, t.count}
		if k := len(t.spans); k == 0 || t.spans[k-1].ref+store.RowRef(t.count-t.spans[k-1].first) != first {
			t.spans = append(t.spans, rowSpan{t.count, first})
		}
		if t.count += uint64(last-first) + 1; t.count > 1<<ordinalBits {
			return fmt.Errorf("%w: table %q has more than %d rows", errNotKeyed, t.scan.key, 1<<ordinalBits)
		}
		select {
		case out <- next:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// newer reports whether row a is newer than row b: by time, then by place.
func (t *keyedTable) newer(a, b place) bool {
	if a.time() == b.time() {
		return t.ref(a.ordinal()) > t.ref(b.ordinal())
	}
	return t.times.at(a.time()) > t.times.at(b.time())
}

// ref is where the store has the row of a number.
func (t *keyedTable) ref(ordinal uint64) store.RowRef { return t.spans[t.spanOf(ordinal)].at(ordinal) }

// spanOf is the number of the span that has the row of a number.
func (t *keyedTable) spanOf(ordinal uint64) int {
	return sort.Search(len(t.spans), func(i int) bool { return t.spans[i].first > ordinal }) - 1
}

func (s rowSpan) at(ordinal uint64) store.RowRef { return s.ref + store.RowRef(ordinal-s.first) }

// keyedBlock is how many rows are worked on at a time; what is known of them stays in the processor's cache.
const keyedBlock = 512

// A keyedWorker makes entries of batches.
type keyedWorker struct {
	*keyed
	out     *partitionWriter
	version *versioner      // of the samples that rows of one table alone make
	rows    [keyedBlock]int // of the batch
	keys    [keyedBlock]xxh3.Uint128
	places  [keyedBlock]place
	digests [keyedBlock]uint64
	buf     []byte // of a key, or of a number as text
}

func newKeyedWorker(k *keyed) *keyedWorker {
	w := makeKeyedWorker(k)
	w.out = k.partitions.writer()
	return &w
}

// makeKeyedWorker makes a worker without partitions.
func makeKeyedWorker(k *keyed) keyedWorker {
	w := keyedWorker{keyed: k}
	if k.single() && !k.summing {
		w.version = newVersioner(&k.plan.versions, k.plan.hashing, nil)
	}
	return w
}

// take makes entries of a batch.
func (w *keyedWorker) take(b keyedBatch) error {
	t := b.table
	c, err := t.scan.prepare(b.rows)
	if err != nil {
		return fmt.Errorf("read table %q: %w", t.scan.key, err)
	}
	if t.source < 0 {
		w.replaced.note(&c)
	}
	columns := pickColumns(c.keys, t.keys)
	for from := 0; from < int(b.rows.NumRows()); from += keyedBlock {
		rows := w.choose(from, min(keyedBlock, int(b.rows.NumRows())-from))
		w.hashKeys(columns, rows)
		if w.only != nil {
			rows = w.restricted(rows)
		}
		if err := w.place(t, &c, b, rows); err != nil {
			return fmt.Errorf("read table %q: %w", t.scan.key, err)
		}
		write := w.writeValues
		switch {
		case w.summing:
			write = w.writeSums
		case w.digest(t, &c, rows):
			write = w.writeDigests
		}
		if err := write(&c, rows); err != nil {
			return err
		}
	}
	return nil
}

// digest digests the versions of rows; false if what matters of them are the versions themselves.
func (w *keyedWorker) digest(t *keyedTable, c *chunk, rows []int) bool {
	switch {
	case t.source < 0:
		w.digestStored(&c.texts[0], rows)
	case w.nullsDecide:
		w.noteNulls(c.texts, rows)
	case w.single():
		w.digestExpected(c.texts, rows)
	default:
		return false
	}
	return true
}

// choose takes all of n rows from the given one on, and clears what is known of them.
func (w *keyedWorker) choose(from, n int) []int {
	for i := range n {
		w.rows[i], w.places[i] = from+i, 0
	}
	return w.rows[:n]
}

// restricted keeps the rows at hand whose keys are in the restriction.
func (w *keyedWorker) restricted(rows []int) []int {
	n := 0
	for i, row := range rows {
		if _, ok := w.only.keys[w.keys[i]]; ok {
			w.rows[n], w.keys[n], w.places[n] = row, w.keys[i], w.places[i]
			n++
		}
	}
	return w.rows[:n]
}

// place says where the rows are, and marks those that are not live or flagged.
func (w *keyedWorker) place(t *keyedTable, c *chunk, b keyedBatch, rows []int) error {
	last, number, known := int64(0), uint32(0), false
	start := b.rows.Ref(0)
	for i, row := range rows {
		if time := c.time(row); !known || time != last {
			var err error
			if number, err = t.times.number(time); err != nil {
				return err
			}
			last, known = time, true
		}
		p := makePlace(t.number, b.first+uint64(b.rows.Ref(row)-start), number)
		if !c.deleted.isNull(row) || !c.passes.isSet(row) {
			p |= goneRow
		}
		if c.flagged.bits != nil && c.flagged.isSet(row) {
			p |= flaggedRow
		}
		w.places[i] |= p
	}
	return nil
}

// hashKeys hashes the keys of rows. Equal keys have one hash in all tables, since the plan has seen to it that their
// columns are of one class.
func (w *keyedWorker) hashKeys(columns []keyColumn, rows []int) {
	if len(columns) == 1 && columns[0].fixed == nil {
		c := &columns[0]
		for i, row := range rows {
			if c.isNull(row) {
				w.keys[i] = xxh3.Hash128Seed(nil, w.seed+1)
				w.places[i] |= keylessRow
				continue
			}
			w.keys[i] = xxh3.Hash128Seed(c.value(row), w.seed)
		}
		return
	}
	for i, row := range rows {
		var null bool
		if w.buf, null = appendKey(w.buf[:0], columns, row); null {
			w.places[i] |= keylessRow
		}
		w.keys[i] = xxh3.Hash128Seed(w.buf, w.seed)
	}
}

// digestStored digests the stored versions of rows.
func (w *keyedWorker) digestStored(c *cells, rows []int) {
	for i, row := range rows {
		if text := c.text(row, &w.buf); text != nil {
			w.digests[i] = xxh3.HashSeed(text, w.seed)
		} else {
			w.places[i] |= unversionedRow
		}
	}
}

// digestExpected digests the versions of the samples that rows make.
func (w *keyedWorker) digestExpected(texts []cells, rows []int) {
	for i, row := range rows {
		w.version.take(w.plan.order[0], texts, row)
		if version, complete := w.version.combine(); complete {
			w.digests[i] = xxh3.HashSeed(version, w.seed)
		} else {
			w.places[i] |= unversionedRow
		}
	}
}

// noteNulls notes in place of digests which of the versions are null, the first one in the lowest bit; of rows that alone
// make samples, whether these have a version.
func (w *keyedWorker) noteNulls(texts []cells, rows []int) {
	clear(w.digests[:len(rows)])
	if !slices.ContainsFunc(texts, func(c cells) bool { return c.valid.bits != nil || c.outer.bits != nil }) {
		return
	}
	for i, row := range rows {
		for k := range texts {
			if texts[k].isNull(row) {
				w.digests[i] |= 1 << k
			}
		}
		if w.single() && w.digests[i] != 0 && !w.version.complete(w.plan.order[0], w.digests[i]) {
			w.places[i] |= unversionedRow
		}
	}
}

// writeDigests puts the rows at hand into their partitions.
func (w *keyedWorker) writeDigests(_ *chunk, rows []int) error {
	for i := range rows {
		key := w.keys[i]
		words, err := w.out.room(key.Hi, entryWords)
		if err != nil {
			return err
		}
		words[0], words[1], words[2], words[3] = key.Lo, key.Hi, uint64(w.places[i]), w.digests[i]
	}
	return nil
}

// writeValues puts the rows at hand into their partitions with the versions that they give.
func (w *keyedWorker) writeValues(c *chunk, rows []int) error {
	for i, row := range rows {
		size := valuesSize(c.texts, row)
		key := w.keys[i]
		words, err := w.out.room(key.Hi, entryWords+(size+7)/8)
		if err != nil {
			return err
		}
		words[0], words[1], words[2], words[3] = key.Lo, key.Hi, uint64(w.places[i]), uint64(size)
		appendValues(wordBytes(words[entryWords:])[:0], c.texts, row) // in place
	}
	return nil
}

// writeSums puts the rows at hand into their partitions with their hashes in place of versions.
func (w *keyedWorker) writeSums(c *chunk, rows []int) error {
	for i, row := range rows {
		key, sum := w.keys[i], sampleDigest(&w.buf, c, row)
		words, err := w.out.room(key.Hi, entryWords+2)
		if err != nil {
			return err
		}
		words[0], words[1], words[2], words[3] = key.Lo, key.Hi, uint64(w.places[i]), 16
		words[4], words[5] = sum.Lo, sum.Hi
	}
	return nil
}

func uint128(lo, hi uint64) xxh3.Uint128 { return xxh3.Uint128{Hi: hi, Lo: lo} }
