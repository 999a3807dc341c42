package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Status says why a sample is in an increment.
type Status int

// The parts of an increment.
const (
	New      Status = iota // expected, and not stored
	Stale                  // stored with another provenance than expected
	Orphaned               // stored, and not expected
)

// String returns the name that resolve prints.
func (s Status) String() string {
	switch s {
	case New:
		return "new"
	case Stale:
		return "stale"
	case Orphaned:
		return "orphaned"
	}
	return fmt.Sprintf("Status(%d)", int(s))
}

// An Increment is the work that a feature needs. It holds references to rows only and is safe for concurrent use.
type Increment struct {
	plan         *plan
	parts        [3]part // by Status
	unresolvable int64
	replaced     Replaced
	settled      bool  // see Settled
	examined     int64 // about how many rows were looked at
}

// A part is the samples of one status.
type part struct {
	reader frameReader
	rows   partRows
}

// partRows are references to rows, spelled out or marked.
type partRows interface {
	count() int
	// slice is the rows from one number up to another.
	slice(from, to int) rowSet
}

// noRows are no rows of a single source.
var noRows = rowSet{refs: [][]store.RowRef{nil}}

func (p *part) count() int64 { return int64(p.rows.count()) }

// defaultBatch is how many rows a batch has if the caller does not say.
const defaultBatch = 1024

// Feature is the feature that was resolved.
func (inc *Increment) Feature() *feature.Feature { return inc.plan.feature }

// Count is the number of samples with the status.
func (inc *Increment) Count(s Status) int64 { return inc.parts[s].count() }

// Unresolvable is the number of expected samples about which nothing can be said, because a field that they are
// computed from has no version. They are in no part of the increment.
func (inc *Increment) Unresolvable() int64 { return inc.unresolvable }

// IDColumns are the columns that identify a sample.
func (inc *Increment) IDColumns() []string { return idColumns(inc.plan.feature) }

// Schema is every column that samples with the status have: the id columns first, and for new and stale samples the
// version columns last.
func (inc *Increment) Schema(s Status) *arrow.Schema { return inc.parts[s].reader.frame.schema }

// Batches yields the samples with the status in batches of at most size rows (0 means 1024), with exactly the named
// columns (nil means all). It reads the columns as it goes. A column that the samples do not have is an error
// wrapping ErrPlan. Iteration ends after the first error. From the second batch on, rows are read ahead.
func (inc *Increment) Batches(
	ctx context.Context, s Status, columns []string, size int,
) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		part := inc.parts[s]
		picked, err := part.reader.frame.pick(columns)
		if err != nil {
			yield(nil, fmt.Errorf("%s samples of %q: %w", s, inc.plan.feature.Key(), err))
			return
		}
		part.reader.frame = picked
		if size <= 0 {
			size = defaultBatch
		}
		for rec, err := range part.chunks(ctx, size) {
			if err != nil {
				yield(nil, fmt.Errorf("read %s samples of %q: %w", s, inc.plan.feature.Key(), err))
				return
			}
			for i := int64(0); i < rec.NumRows(); i += int64(size) {
				if !yield(rec.NewSlice(i, min(i+int64(size), rec.NumRows())), nil) {
					return
				}
			}
		}
	}
}

// chunks yields the rows in chunks, the first one of at most so many rows. While the caller is at work with one the next is
// read, but for the first: many look at no more than a few rows.
func (p *part) chunks(ctx context.Context, limit int) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		all := p.rows.count()
		if all == 0 {
			return
		}
		rows := min(limit, p.reader.firstChunk())
		first, err := p.reader.read(ctx, p.rows.slice(0, min(rows, all)))
		if !yield(first, err) || err != nil || rows >= all {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		read := make(chan chunkRead)
		go func() {
			defer close(read)
			var pass streams
			defer func() { pass.close() }()
			for from, n, last := rows, nextChunk(rows, first), first; from < all && ctx.Err() == nil; {
				if n >= streamRows && last != nil {
					pass, last = p.stream(ctx, from, last), nil // once; who wants a few rows only has got them by now
				}
				if pass != nil {
					n = min(n, streamRows)
				}
				rec, err := p.readChunk(ctx, p.rows.slice(from, min(from+n, all)), &pass)
				read <- chunkRead{rec, err}
				if err != nil {
					return
				}
				from, n = from+int(rec.NumRows()), nextChunk(n, rec)
				if last != nil {
					last = rec
				}
			}
		}()
		defer func() { // also when the caller stops early
			cancel()
			for range read {
			}
		}()
		for next := range read {
			if !yield(next.rows, next.err) || next.err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// readChunk reads rows, or the first of them that the pass gives in one piece. A pass that comes upon rows which are not in
// order is ended.
func (p *part) readChunk(ctx context.Context, rows rowSet, pass *streams) (arrow.RecordBatch, error) {
	if *pass == nil {
		return p.reader.read(ctx, rows)
	}
	n, err := pass.reach(rows)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		pass.close()
		*pass = nil
		return p.reader.read(ctx, rows)
	}
	reader := p.reader
	reader.sources = make([]fetcher, len(p.reader.sources))
	for s := range reader.sources {
		reader.sources[s] = (*pass)[s]
	}
	return reader.read(ctx, rows.slice(0, n))
}

// A chunkRead is what reading a chunk gave.
type chunkRead struct {
	rows arrow.RecordBatch
	err  error
}

// What is fetched at a time grows from a few rows, since they may be large, up to these bounds, because the rows of small
// fetches share pages, each of which is then decoded again and again.
const (
	firstChunkRows = 64
	maxChunkRows   = 64 << 10
	maxChunkBytes  = 16 << 20
)

// firstChunk is how many rows to fetch first: as many as the bounds allow if the tables' files have rows of one size.
func (r *frameReader) firstChunk() int {
	rows := int64(firstChunkRows)
	for _, s := range r.sources {
		snap, ok := s.(store.Snapshot)
		if !ok {
			continue // samples that were given, which are in memory
		}
		if n := snap.RowsHint(); n > 0 {
			rows = min(rows, maxChunkBytes/max(snap.BytesHint()/n, 1))
		}
	}
	return int(max(rows, 1))
}

// nextChunk is how many rows to fetch after a chunk: as many as the bounds allow, and at most four times as many.
func nextChunk(rows int, last arrow.RecordBatch) int {
	fits := uint64(last.NumRows()) * maxChunkBytes / max(batchBytes(last), 1)
	return int(max(1, min(fits, uint64(4*rows), maxChunkRows)))
}

func batchBytes(rec arrow.RecordBatch) (n uint64) {
	for _, c := range rec.Columns() {
		n += c.Data().SizeInBytes()
	}
	return n
}

// newIncrement keeps of a decision the references to rows, so that everything else can be forgotten.
func newIncrement(p *plan, expected *tuples, tables []*table, target *table, d *decision) *Increment {
	inc := &Increment{plan: p, unresolvable: d.unresolvable, replaced: p.replacedRows(target), examined: p.examinedRows()}
	inc.parts[New] = part{p.expectedReader(), tupleRows(expected, tables, d.fresh)}
	inc.parts[Stale] = part{p.expectedReader(), tupleRows(expected, tables, d.stale)}
	inc.parts[Orphaned] = part{p.storedReader(), noRows}
	if p.target != nil {
		refs := make([]store.RowRef, len(d.orphaned))
		for i, e := range d.orphaned {
			refs[i] = target.ref(e)
		}
		inc.parts[Orphaned].rows = rowSet{refs: [][]store.RowRef{refs}}
	}
	return inc
}

// expectedReader reads expected samples from the sources.
func (p *plan) expectedReader() frameReader {
	reader := frameReader{frame: p.expected, versions: &p.versions, hashing: p.hashing}
	for i := range p.sources {
		s := &p.sources[i]
		reader.scans = append(reader.scans, s.scan)
		if s.samples != nil {
			reader.sources = append(reader.sources, s.samples)
		} else {
			reader.sources = append(reader.sources, s.scan.snap)
		}
	}
	return reader
}

// storedReader reads stored samples from the target.
func (p *plan) storedReader() frameReader {
	reader := frameReader{frame: p.stored}
	if p.target != nil {
		reader.sources, reader.flags = []fetcher{p.target.snap}, p.target.flags
	}
	return reader
}

// tupleRows are the rows of the chosen tuples, with the versions of their groups where these cannot be computed again
// from the rows alone.
func tupleRows(expected *tuples, tables []*table, chosen []uint32) rowSet {
	out := rowSet{refs: make([][]store.RowRef, len(tables)), groups: make([]*groups, len(tables))}
	entries := make([]uint32, len(chosen))
	for s, t := range tables {
		out.refs[s] = make([]store.RowRef, len(chosen))
		for i, c := range chosen {
			if entries[i] = expected.at(int(c))[s]; entries[i] != none {
				out.refs[s][i] = t.ref(entries[i])
			} else {
				out.refs[s][i] = noRef
			}
		}
		if t.groups != nil {
			out.groups[s] = t.groups.pick(entries)
		}
	}
	return out
}
