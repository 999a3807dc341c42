package s3parquet

import (
	"context"
	"fmt"
	"iter"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// filesAhead is how many files a scan reads at the same time; their rows come in order all the same.
const filesAhead = 4

// smallAhead is how many files it reads at the same time as long as all of their bytes fit what it may hold: for small ones,
// the way to the storage takes longer than what is done with them.
const smallAhead = 16

// batchesAhead is how many batches of a file wait for their turn.
const batchesAhead = 2

// scanAhead bounds the bytes of its files that a scan holds at a time.
const scanAhead = 32 << 20

// Scan implements store.Snapshot. It holds at most filesAhead files open, or smallAhead small ones, and batchesAhead batches
// of each.
func (s *snapshot) Scan(ctx context.Context, q store.Query) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		p, err := s.plan(q)
		if err != nil {
			yield(store.Batch{}, fmt.Errorf("scan %s: %w", s.URI(), err))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var running []*fileScan
		defer func() { // also when the caller stops early
			cancel()
			for _, r := range running {
				r.drain()
			}
		}()
		files := s.matching(q)
		ahead := int64(scanAhead)
		if q.ReadAhead > 0 {
			ahead = min(ahead, q.ReadAhead)
		}
		p.read.ReadAhead = ahead / int64(max(1, min(filesAhead, len(files))))
		for i := range files {
			for next := i + len(running); next < len(files) && s.fits(files[i:next+1], ahead); next++ {
				running = append(running, s.startScan(ctx, files[next], p))
			}
			for r := range running[0].results {
				if !yield(r.batch, r.err) || r.err != nil {
					return
				}
			}
			running = running[1:]
			if err := ctx.Err(); err != nil { // the file may have ended early
				yield(store.Batch{}, err)
				return
			}
		}
	}
}

// fits reports whether files may be read at the same time.
func (s *snapshot) fits(files []uint32, ahead int64) bool {
	if len(files) <= filesAhead || len(files) > smallAhead {
		return len(files) <= filesAhead
	}
	for _, f := range files {
		ahead -= s.Files[f].Size
	}
	return ahead >= 0
}

// matching returns the ordinals of the files that can hold rows of the query.
func (s *snapshot) matching(q store.Query) []uint32 {
	var files []uint32
	for i, f := range s.Files {
		if !q.HasFile(i) || q.After != nil && f.Version <= *q.After {
			continue
		}
		if s.mayMatch(f, q.Where) && s.mayLieWithin(f, q.Within) {
			files = append(files, uint32(i))
		}
	}
	return files
}

// A fileScan reads one file in a goroutine of its own, which ends when all results are taken or its context is done.
type fileScan struct {
	results chan scanResult
}

type scanResult struct {
	batch store.Batch
	err   error
}

func (s *snapshot) startScan(ctx context.Context, ordinal uint32, p *plan) *fileScan {
	f := &fileScan{results: make(chan scanResult, batchesAhead)}
	go func() {
		defer close(f.results)
		for batch, err := range s.scanFile(ctx, ordinal, p) {
			select {
			case f.results <- scanResult{batch, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return f
}

// drain waits until the goroutine has ended.
func (f *fileScan) drain() {
	for range f.results {
	}
}

// scanFile yields the rows of one file that match.
func (s *snapshot) scanFile(ctx context.Context, ordinal uint32, p *plan) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		f := s.Files[ordinal]
		d, err := s.open(ctx, f, p.read)
		if err != nil {
			yield(store.Batch{}, err)
			return
		}
		defer d.source.Close()
		if err := checkCommitted(d.File, f); err != nil {
			yield(store.Batch{}, d.explain(s, err))
			return
		}
		for batch, err := range d.Scan(ctx, p.query, ordinal, p.table) {
			if err == nil {
				batch, err = s.finishBatch(batch, f, p)
			}
			if err != nil {
				yield(store.Batch{}, d.explain(s, err))
				return
			}
			batch = trim(batch, f, p.query.Within)
			if batch.NumRows() > 0 && !yield(batch, nil) {
				return
			}
		}
	}
}

func (s *snapshot) finishBatch(b store.Batch, f *delta.File, p *plan) (store.Batch, error) {
	rec, err := s.complete(b.RecordBatch, f, p)
	b.RecordBatch = rec
	return b, err
}
