package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// errUnordered reports rows that do not come in the order that was declared of their files, too many of one first id, or
// runs that would take too much memory side by side. They are resolved through partitions.
var errUnordered = errors.New("engine: rows do not come in order")

const (
	// maxRuns is of how many sorted runs all tables together may consist to be merged. Each has batches of its own in memory.
	maxRuns = 32
	// windowRows is how many rows a window has at least, but the last one. What is known of them fits the cache of a core.
	windowRows = 8 << 10
	// maxHeldRows is how many rows may wait for a window to end, beside the two last pieces of each run: so many share one
	// first id.
	maxHeldRows = 1 << 18
	// heldRowBytes is what a row that waits may take of the memory.
	heldRowBytes = 1 << 10
)

// A merge resolves tables whose files are sorted by the first id, without partitions: where the runs of all tables are
// read side by side, the rows of a sample come by at the same time.
//
//	read    each run is decoded in a goroutine of its own, to pieces
//	cut     one goroutine cuts the runs into windows, at values that all of them have reached
//	decide  the workers take window after window, as if it were a partition: all rows of a key are in one
//
// Whether the rows do ascend is checked of every row. A file that breaks the promise costs time, and nothing else.
//
// If the feature's own table alone is in no order, as Metaxy leaves it, only the parents are merged; see decideBeside.
type merge struct {
	*keyed
	runs   []*mergeRun
	beside bool // the target is in no order

	windowRows  int // see the constants
	maxHeldRows int
	limit       int64 // of the bytes of all batches; 0 for none
}

// A mergeRun is a sorted run of a table that is being read.
type mergeRun struct {
	table  *keyedTable
	first  bool // of its table
	files  store.SortedRun
	pieces chan *piece
	held   []*piece // whose rows are not all in a window yet
	last   *piece   // that was read; nil for none
	ended  bool
}

// A window is rows of the runs. No other window has rows of the same keys.
type window []windowPart

// A windowPart is the rows of a piece from one up to another.
type windowPart struct {
	*piece
	from, to int
}

// newMerge returns nil if the parents' tables are not known to be sorted, or consist of too many runs. More rows than can be
// numbered are an error wrapping errNotKeyed.
func newMerge(ctx context.Context, k *keyed) (*merge, error) {
	m := &merge{keyed: k, windowRows: windowRows, maxHeldRows: maxHeldRows}
	if m.limit = k.plan.options.MemoryLimit; m.limit > 0 {
		m.maxHeldRows = int(min(maxHeldRows, m.limit/heldRowBytes))
	}
	column := k.rangeColumn()
	runs := make([][]store.SortedRun, len(k.tables))
	for i, t := range k.tables {
		sorted, ok := t.scan.snap.(store.Sorted)
		if ok {
			var err error
			if runs[i], ok, err = sorted.SortedRuns(ctx, t.scan.keys[t.keys[column]], maxRuns-len(m.runs)); err != nil {
				return nil, fmt.Errorf("look for the order of table %q: %w", t.scan.key, err)
			}
		}
		switch {
		case !ok && t == k.target && k.mergesBeside():
			m.beside = true
		case !ok:
			return nil, nil
		}
		for n, run := range runs[i] {
			m.runs = append(m.runs, &mergeRun{table: t, first: n == 0, files: run, pieces: make(chan *piece, 1)})
		}
	}
	for i, t := range k.tables {
		if !t.numberFiles(runs[i]) {
			return nil, fmt.Errorf("%w: table %q has more than %d rows", errNotKeyed, t.scan.key, 1<<ordinalBits)
		}
	}
	return m, nil
}

// numberFiles numbers the rows of a table in the order of its files, as feed would. It reports false if there are too many.
func (t *keyedTable) numberFiles(runs []store.SortedRun) bool {
	files := slices.Concat(runs...)
	slices.SortFunc(files, func(a, b store.SortedFile) int { return a.Ordinal - b.Ordinal })
	for _, f := range files {
		t.spans = append(t.spans, rowSpan{t.count, store.MakeRowRef(uint32(f.Ordinal), 0)})
		t.count += uint64(f.Rows)
	}
	return t.count <= 1<<ordinalBits
}

// ordinalOf is the number of a row; false if the file has more rows than was declared.
func (t *keyedTable) ordinalOf(ref store.RowRef) (uint64, bool) {
	i := sort.Search(len(t.spans), func(i int) bool { return t.spans[i].ref > ref }) - 1
	number, end := t.spans[i].first+uint64(ref-t.spans[i].ref), t.count
	if i+1 < len(t.spans) {
		end = t.spans[i+1].first
	}
	return number, number < end
}

// resolve returns the increment, errUnordered or errNotKeyed.
func (m *merge) resolve(ctx context.Context) (*Increment, error) {
	decide := m.decideBeside
	if !m.beside {
		decide = func(ctx context.Context) (*keyedDecision, error) { return m.merge(ctx, m.keyed, nil) }
	}
	found, err := decide(ctx)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", m.plan.feature.Key(), err)
	}
	return m.incrementOf(found), nil
}

// merge decides by merging the runs, which are of the tables of k. Given partitions, it puts expected samples there.
func (m *merge) merge(ctx context.Context, k *keyed, to *partitions) (*keyedDecision, error) {
	found := newKeyedDecision(k)
	work, ctx := errgroup.WithContext(ctx)
	begin := make(chan struct{}) // closed when all runs may be read
	for _, r := range m.runs {
		work.Go(func() error {
			defer close(r.pieces)
			if !r.first {
				select {
				case <-begin:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return m.feed(ctx, r)
		})
	}
	windows := make(chan window, m.workers)
	work.Go(func() error {
		defer close(windows)
		return m.cut(ctx, begin, windows)
	})
	for range m.workers {
		work.Go(func() error {
			w := newWindowWorker(k, found, to)
			for next := range windows {
				if err := w.decide(next); err != nil {
					return err
				}
			}
			return w.finish(found)
		})
	}
	return found, work.Wait()
}

// feed reads a run.
func (m *merge) feed(ctx context.Context, r *mergeRun) error {
	q := m.narrow(r.table.scan.query(), r.table)
	for _, f := range r.files {
		q.Files = append(q.Files, f.Ordinal)
	}
	q.ReadAhead = m.plan.options.MemoryLimit / readAheadShare / int64(len(m.runs))
	for b, err := range r.table.scan.snap.Scan(ctx, q) {
		if err != nil {
			return fmt.Errorf("read table %q: %w", r.table.scan.key, err)
		}
		if b.NumRows() == 0 {
			continue
		}
		p, err := newPiece(r.table, b, m.rangeColumn())
		if err != nil {
			return fmt.Errorf("read table %q: %w", r.table.scan.key, err)
		}
		select {
		case r.pieces <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// cut cuts windows until all runs have ended. The window at hand ends at the value that the run has reached which is
// behind all others; then that one is read on.
func (m *merge) cut(ctx context.Context, begin chan<- struct{}, out chan<- window) error {
	if err := m.begin(ctx, begin); err != nil {
		return err
	}
	for {
		if err := m.checkMemory(); err != nil {
			return err
		}
		behind := m.behind()
		if w := m.window(behind); len(w) > 0 {
			select {
			case out <- w:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if behind == nil {
			return nil
		}
		if err := behind.readOn(ctx); err != nil {
			return err
		}
		if held := m.heldRows(); held > m.maxHeldRows {
			return fmt.Errorf("%w: more than %d rows have to be seen together", errUnordered, m.maxHeldRows)
		}
	}
}

// heldRows is how many rows wait, beside the two last pieces of each run.
func (m *merge) heldRows() (n int) {
	for _, r := range m.runs {
		for _, p := range r.held[:max(0, len(r.held)-2)] {
			n += p.n
		}
	}
	return n
}

// behind is the run that has reached the least value; nil if all have ended.
func (m *merge) behind() (least *mergeRun) {
	for _, r := range m.runs {
		if !r.ended && (least == nil || r.last.compare(r.last.n-1, least.last, least.last.n-1) < 0) {
			least = r
		}
	}
	return least
}

// window takes the rows below the value that a run has reached, or all that there are for nil. It takes none if these are few.
func (m *merge) window(end *mergeRun) window {
	var w window
	n := 0
	for _, r := range m.runs {
		for _, p := range r.held {
			to := p.n
			if end != nil {
				to = p.below(end.last)
			}
			if to > p.from {
				w = append(w, windowPart{p, p.from, to})
				n += to - p.from
			}
			if to < p.n {
				break
			}
		}
	}
	if end != nil && n < m.windowRows {
		return nil
	}
	for _, part := range w {
		part.piece.from = part.to
	}
	for _, r := range m.runs {
		r.held = slices.DeleteFunc(r.held, func(p *piece) bool { return p.from == p.n })
	}
	return w
}

// readOn takes the next piece of a run, or notes its end.
func (r *mergeRun) readOn(ctx context.Context) error {
	select {
	case p, ok := <-r.pieces:
		if r.ended = !ok; !ok {
			return nil
		}
		if r.last != nil && r.last.compare(r.last.n-1, p, 0) > 0 {
			return fmt.Errorf("%w: files of table %q", errUnordered, r.table.scan.key)
		}
		r.last, r.held = p, append(r.held, p)
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
