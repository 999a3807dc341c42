package s3parquet

import (
	"errors"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// fanIn is how many sorted runs are merged at a time.
const fanIn = 16

// A sorter sorts any number of rows in bounded memory: what does not fit is sorted piece by piece into temporary files,
// runs, which are merged. Rows that are equal in the columns keep their order.
type sorter struct {
	by     []string // none: the rows stay as they come
	budget int64    // bytes of held that are too many

	held  []arrow.RecordBatch
	bytes int64 // of held
	runs  []*run
}

// add takes rows; all batches have one schema.
func (s *sorter) add(rec arrow.RecordBatch) error {
	s.held = append(s.held, rec)
	if s.bytes += store.Size(rec); s.bytes < s.budget {
		return nil
	}
	return s.spill()
}

// spill writes what is held as a run.
func (s *sorter) spill() error {
	rec, err := s.sorted()
	if err != nil || rec == nil {
		return err
	}
	r, err := newRun(rec.Schema(), s.by, yieldAll(rec))
	if err == nil {
		s.runs = append(s.runs, r)
	}
	return err
}

// sorted returns what is held, which it forgets; nil if there is nothing.
func (s *sorter) sorted() (arrow.RecordBatch, error) {
	held := s.held
	s.held, s.bytes = nil, 0
	if len(held) == 0 {
		return nil, nil
	}
	all, err := concatenate(held, held[0].Schema())
	if err != nil || len(s.by) == 0 {
		return all, err
	}
	all, _, err = store.SortRows(all, s.by)
	return all, err
}

// rows yields everything that was added, in order. It can be called once.
func (s *sorter) rows() iter.Seq2[arrow.RecordBatch, error] {
	if len(s.runs) == 0 {
		rec, err := s.sorted()
		if rec == nil && err == nil {
			return func(func(arrow.RecordBatch, error) bool) {}
		}
		return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, err) }
	}
	return func(yield func(arrow.RecordBatch, error) bool) {
		err := s.spill()
		if err == nil {
			err = s.condense()
		}
		if err != nil {
			yield(nil, err)
			return
		}
		merge(s.runs, s.by)(yield)
	}
}

// condense merges neighbouring runs until no more are left than can be merged at a time.
func (s *sorter) condense() error {
	for len(s.runs) > fanIn {
		var fewer []*run
		for len(s.runs) > 0 {
			part := s.runs[:min(fanIn, len(s.runs))]
			r, err := newRun(part[0].schema, s.by, merge(part, s.by))
			if err != nil {
				s.runs = append(fewer, s.runs...)
				return err
			}
			for _, p := range part {
				err = errors.Join(err, p.Close())
			}
			fewer, s.runs = append(fewer, r), s.runs[len(part):]
			if err != nil {
				s.runs = append(fewer, s.runs...)
				return err
			}
		}
		s.runs = fewer
	}
	return nil
}

// Close removes the temporary files.
func (s *sorter) Close() error {
	var err error
	for _, r := range s.runs {
		err = errors.Join(err, r.Close())
	}
	s.runs = nil
	return err
}

// yieldAll yields one batch.
func yieldAll(rec arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) { yield(rec, nil) }
}
