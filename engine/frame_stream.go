package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const (
	// streamShare is of how many rows of a table, or of those of its files that have any, one has to be wanted for one pass to pay.
	streamShare = 2
	// streamRows is of how many rows it is asked at a time whether the batches at hand have them; about as many as these have.
	streamRows = 8 << 10
	// streamRowBytes is how large rows are at most that are read in one pass, which holds batches of several files.
	streamRowBytes = 512
	// streamAhead is how many bytes of the files of a table may be read before they are decoded.
	streamAhead = 8 << 20
	// streamSample is of how many rows it is looked whether they lie in the order of the tables.
	streamSample = 4096
)

// Streams read the rows of a part from the tables in one pass over their files, instead of looking each row up: a page is
// decoded once, and its rows are handed on where they were decoded. That takes rows which come in the order of the tables, and
// are most of these.
type streams []*rowStream // of the sources; nil for one of which nothing is read

// stream starts the pass from a row on, or returns nil if it would not pay. The part's rows before it have been read, as last.
func (p *part) stream(ctx context.Context, from int, last arrow.RecordBatch) streams {
	all := p.rows.count()
	if int64(batchBytes(last)) > streamRowBytes*last.NumRows() || !p.inOrder(p.rows.slice(from, min(all, from+streamSample))) {
		return nil
	}
	files := make([][]int, len(p.reader.sources))
	for s, source := range p.reader.sources {
		snap, ok := source.(store.Snapshot)
		if !ok || len(p.reader.columnsOf(s)) == 0 || int64(all-from) >= snap.RowsHint()/streamShare {
			continue
		}
		if files[s], ok = p.filesOf(s, from); !ok {
			return nil
		}
	}
	return p.pass(ctx, files)
}

// filesOf returns the files of a source that have the rows from one on, if these are most of what they have up to the last one that
// is wanted: what was changed lately is often all of a file.
func (p *part) filesOf(source, from int) (files []int, most bool) {
	all, wanted, rows := p.rows.count(), 0, int64(0)
	last := noRef
	for ; from < all; from += maxChunkRows {
		for _, ref := range p.rows.slice(from, min(all, from+maxChunkRows)).refs[source] {
			switch {
			case ref == noRef:
				continue
			case last == noRef || ref.File() > last.File():
				files = append(files, int(ref.File()))
				rows += int64(ref.Row()) + 1
			case ref.File() < last.File() || ref.Row() < last.Row():
				return nil, false
			default:
				rows += int64(ref.Row() - last.Row())
			}
			last = ref
			wanted++
		}
	}
	return files, int64(wanted) >= rows/streamShare
}

// pass starts the pass over files of each source, where nil are all; nil if something is read of what is no table.
func (p *part) pass(ctx context.Context, files [][]int) streams {
	out := make(streams, len(p.reader.sources))
	for s, source := range p.reader.sources {
		q := store.Query{Columns: p.reader.columnsOf(s), Files: files[s], ReadAhead: streamAhead}
		if len(q.Columns) == 0 {
			continue
		}
		snap, ok := source.(store.Snapshot)
		if !ok {
			out.close()
			return nil
		}
		out[s] = newRowStream(snap.Scan(ctx, q))
	}
	return out
}

// inOrder reports whether rows come in the order of all sources that something is read of.
func (p *part) inOrder(rows rowSet) bool {
	for s, refs := range rows.refs {
		if len(p.reader.columnsOf(s)) == 0 {
			continue
		}
		last, any := store.RowRef(0), false
		for _, ref := range refs {
			if ref == noRef {
				continue
			}
			if any && ref <= last {
				return false
			}
			last, any = ref, true
		}
	}
	return true
}

// close ends the pass.
func (s streams) close() {
	for _, one := range s {
		if one != nil {
			one.stop()
		}
	}
}

// reach returns how many of the first rows lie in the batches at hand, for which it reads on. None says that they do not come
// in order.
func (s streams) reach(rows rowSet) (int, error) {
	n := rows.count()
	for i, one := range s {
		if one == nil {
			continue
		}
		k, err := one.reach(rows.refs[i][:n])
		if err != nil || k == 0 {
			return 0, err
		}
		n = k
	}
	return n, nil
}

// A rowStream is the pass over one table.
type rowStream struct {
	next  func() (store.Batch, error, bool)
	stop  func()
	batch store.Batch // at hand; without a record before the first
}

func newRowStream(scan iter.Seq2[store.Batch, error]) *rowStream {
	s := &rowStream{}
	s.next, s.stop = iter.Pull2(scan)
	return s
}

// find returns where in the batch at hand a row is: -1 before it, its length behind it.
func (s *rowStream) find(ref store.RowRef) int {
	switch b := s.batch; {
	case b.RecordBatch == nil:
		return 0
	case b.NumRows() == 0 || ref > b.Ref(int(b.NumRows())-1):
		return int(b.NumRows())
	case ref < b.Ref(0):
		return -1
	case b.Rows == nil:
		return int(ref - b.Ref(0))
	default:
		i, found := slices.BinarySearch(b.Rows, ref.Row())
		if !found {
			return -1
		}
		return i
	}
}

// reach returns how many of the first rows lie in one batch in order, and reads on to that.
func (s *rowStream) reach(refs []store.RowRef) (int, error) {
	last := -1
	for n, ref := range refs {
		if ref == noRef {
			continue
		}
		at := s.find(ref)
		for last < 0 && (s.batch.RecordBatch == nil || at == int(s.batch.NumRows())) {
			var err error
			var ok bool
			if s.batch, err, ok = s.next(); err != nil {
				return 0, err
			}
			if !ok {
				return 0, fmt.Errorf("%w: the table has no row %d of file %d", ErrRows, ref.Row(), ref.File())
			}
			at = s.find(ref)
		}
		if at < max(last, 0) || at == int(s.batch.NumRows()) { // a row of several samples comes once for each
			return n, nil
		}
		last = at
	}
	return len(refs), nil
}

// Fetch gives rows of the batch at hand.
func (s *rowStream) Fetch(_ context.Context, refs []store.RowRef, _ []string) (arrow.RecordBatch, error) {
	rows, inSequence := make([]int, len(refs)), true
	for i, ref := range refs {
		rows[i] = s.find(ref)
		inSequence = inSequence && rows[i] == rows[0]+i
	}
	if inSequence {
		return s.batch.NewSlice(int64(rows[0]), int64(rows[0]+len(rows))), nil
	}
	return store.Take(s.batch.RecordBatch, rows)
}
