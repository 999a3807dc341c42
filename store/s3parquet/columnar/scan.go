package columnar

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Scan yields the rows that match q, in batches of consecutive rows or, after a filter, with their positions. The
// columns have the types of the table's schema; columns and members that the file lacks come as nulls.
func (f *File) Scan(ctx context.Context, q store.Query, file uint32, table *arrow.Schema) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		s, err := f.newScanner(q, file, table)
		if s != nil {
			defer s.close()
		}
		for i := 0; err == nil && s != nil && i < len(f.groups); i++ {
			if err = s.open(&f.groups[i]); err != nil {
				break
			}
			for {
				var b store.Batch
				if err = ctx.Err(); err == nil {
					b, err = s.next()
				}
				if err != nil || b.RecordBatch == nil {
					break
				}
				if !yield(b, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(store.Batch{}, fmt.Errorf("scan: %w", err))
		}
	}
}

// A scanner goes through the row groups of a file. In each it looks for rows that match, by statistics and then by the
// columns of the conditions alone, and reads the other columns only where there are some.
type scanner struct {
	f      *File
	file   uint32
	b      *binding
	where  []condition
	within *within // nil for no ranges
	reads  readAhead

	group   *rowGroup
	indexed bool       // read only the pages that hold candidates
	all     []rowRange // the candidates of the row group
	left    []rowRange // those that were not looked at yet
	found   []rowRange // matches that were not read yet
	opened  bool       // the columns of the row group
	rows    int        // of a batch
	keep    []bool
}

// newScanner returns nil if no row of the file can match.
func (f *File) newScanner(q store.Query, file uint32, table *arrow.Schema) (*scanner, error) {
	to, err := q.Project(table)
	if err != nil {
		return nil, err
	}
	s := &scanner{f: f, file: file, within: bindWithin(f.root, q.Within)}
	var possible bool
	if s.where, possible, err = bindWhere(f.root, q.Where); err != nil || !possible {
		return nil, err
	}
	s.b, err = bind(f.root, to)
	return s, err
}

// close waits for reads that were begun ahead, so that none outlives the scan.
func (s *scanner) close() {
	for _, w := range s.where {
		w.leaf.unzip.close()
	}
	if s.b != nil {
		s.b.close()
	}
	s.reads.close()
}

// open starts with a row group.
func (s *scanner) open(g *rowGroup) (err error) {
	defer recoverCorrupt(&err)
	s.group, s.found, s.opened, s.rows = g, nil, false, s.f.opts.BatchRows
	s.left = nil
	if g.rows == 0 {
		return nil
	}
	if s.all, err = s.f.candidates(g, s.where); err != nil || len(s.all) == 0 {
		return err
	}
	if s.within != nil {
		near, err := s.within.candidates(s.f, g)
		if s.all = intersect(s.all, near); err != nil || len(s.all) == 0 {
			return err
		}
	}
	s.indexed = countRows(s.all) < g.rows/4*3
	if !s.indexed {
		s.all = []rowRange{{0, g.rows}}
	}
	s.left = slices.Clone(s.all)
	if len(s.where) == 0 {
		s.found, s.left = s.left, nil
		return nil
	}
	leaves := make([]*leaf, len(s.where))
	for i, w := range s.where {
		leaves[i] = w.leaf
	}
	if err := s.f.openLeaves(g, leaves, s.all, s.indexed, &s.reads); err != nil {
		return err
	}
	for i := range s.where {
		absent, err := s.where[i].absent()
		if err != nil {
			return err
		}
		if absent {
			s.left = nil
		}
	}
	return nil
}

// next returns the next batch of the row group, or none at its end.
func (s *scanner) next() (b store.Batch, err error) {
	defer recoverCorrupt(&err)
	for len(s.left) > 0 && countRows(s.found) < int64(s.rows) {
		if err := s.look(); err != nil {
			return b, err
		}
	}
	if len(s.found) == 0 {
		return b, nil
	}
	if !s.opened {
		if err := s.openColumns(); err != nil {
			return b, err
		}
	}
	ranges := s.take(int64(s.rows))
	if err := fillLeaves(s.b.leaves, ranges); err != nil {
		return b, err
	}
	return s.batch(ranges)
}

// look evaluates the conditions on the next window of candidates.
func (s *scanner) look() error {
	window := rowRange{s.left[0].start, min(s.left[0].end, s.left[0].start+int64(s.f.opts.BatchRows))}
	if s.left[0].start = window.end; s.left[0].len() == 0 {
		s.left = s.left[1:]
	}
	n := int(window.len())
	if cap(s.keep) < 2*n {
		s.keep = make([]bool, 2*n)
	}
	keep := s.keep[:n]
	for i := range s.where {
		if i == 0 {
			if err := s.where[0].match(window.start, keep); err != nil {
				return err
			}
			continue
		}
		also := s.keep[n : 2*n]
		if err := s.where[i].match(window.start, also); err != nil {
			return err
		}
		for j := range keep {
			keep[j] = keep[j] && also[j]
		}
	}
	for i := 0; i < n; i++ {
		if !keep[i] {
			continue
		}
		start := i
		for i < n && keep[i] {
			i++
		}
		s.add(rowRange{window.start + int64(start), window.start + int64(i)})
	}
	return nil
}

func (s *scanner) add(r rowRange) {
	if n := len(s.found); n > 0 && s.found[n-1].end == r.start {
		s.found[n-1].end = r.end
		return
	}
	s.found = append(s.found, r)
}

// take removes up to n rows from what was found.
func (s *scanner) take(n int64) []rowRange {
	var out []rowRange
	for n > 0 && len(s.found) > 0 {
		r := s.found[0]
		r.end = min(r.end, r.start+n)
		n -= r.len()
		out = append(out, r)
		if s.found[0].start = r.end; s.found[0].len() == 0 {
			s.found = s.found[1:]
		}
	}
	return out
}

// maxRepeated is how many times ReadOptions.BatchBytes a column of a batch has at most if all of its rows repeat the longest value
// of a dictionary.
const maxRepeated = 16

// openColumns opens the columns at the first match, and chooses how many rows make a batch.
func (s *scanner) openColumns() error {
	if err := s.f.openLeaves(s.group, s.b.leaves, s.all, s.indexed, &s.reads); err != nil {
		return err
	}
	s.opened = true
	perRow, longest := int64(1), int64(1)
	for _, l := range s.b.leaves {
		c := &s.group.chunks[l.node.leaf]
		size := c.meta.MetaData.TotalUncompressedSize / s.group.rows
		if d, ok := l.sink.(*bytesSink); ok {
			if err := l.loadDictionary(); err != nil {
				return err
			}
			if n := len(d.dictOffsets); n > 1 {
				size = max(size, int64(len(d.dict)/(n-1)))
			}
			longest = max(longest, d.longest())
		}
		perRow += max(size, 0)
	}
	s.rows = int(max(1, min(int64(s.f.opts.BatchRows), s.f.opts.BatchBytes/perRow, maxRepeated*s.f.opts.BatchBytes/longest)))
	return nil
}

func (s *scanner) batch(ranges []rowRange) (store.Batch, error) {
	n := countRows(ranges)
	rec, err := s.b.record(int(n))
	if err != nil {
		return store.Batch{}, err
	}
	b := store.Batch{RecordBatch: rec, File: s.file}
	if len(ranges) == 1 {
		b.First = uint32(s.group.first + ranges[0].start)
		return b, nil
	}
	b.Rows = make([]uint32, 0, n)
	for _, r := range ranges {
		for row := r.start; row < r.end; row++ {
			b.Rows = append(b.Rows, uint32(s.group.first+row))
		}
	}
	return b, nil
}

// record makes a batch of what the leaves have collected.
func (b *binding) record(n int) (arrow.RecordBatch, error) {
	data, err := b.finish(n)
	if err != nil {
		return nil, err
	}
	cols := make([]arrow.Array, len(data))
	for i, d := range data {
		cols[i] = array.MakeFromData(d)
	}
	return array.NewRecordBatch(b.schema, cols, int64(n)), nil
}

func (b *binding) close() {
	for _, l := range b.leaves {
		l.unzip.close()
	}
}

// openLeaves starts the reading of chunks. With indexed it reads only the pages that hold the rows, of those chunks
// that have an index.
func (f *File) openLeaves(g *rowGroup, leaves []*leaf, rows []rowRange, indexed bool, reads *readAhead) error {
	chunks := make([]*chunk, len(leaves))
	spans := make([][]span, len(leaves))
	for i, l := range leaves {
		chunks[i] = &g.chunks[l.node.leaf]
		spans[i] = []span{{chunks[i].start, chunks[i].end}}
	}
	index := make([][]format.PageLocation, len(leaves))
	if indexed {
		var err error
		if index, err = f.offsetIndexes(chunks); err != nil {
			return err
		}
		for i, c := range chunks {
			if index[i] != nil {
				spans[i] = pageSpans(c, index[i], rows)
			}
		}
	}
	for i, in := range planInputs(f.r, spans, f.opts.ReadAhead, reads) {
		leaves[i].open(newPages(chunks[i], in, index[i]))
	}
	return nil
}

// fillLeaves reads rows into leaves, which are independent of each other.
func fillLeaves(leaves []*leaf, ranges []rowRange) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, l := range leaves {
		g.Go(func() (err error) {
			defer recoverCorrupt(&err)
			for _, r := range ranges {
				if err := l.seek(r.start); err != nil {
					return err
				}
				if err := l.read(int(r.len())); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}
