package s3parquet

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"sort"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// merge yields the rows of sorted runs in order; of equal rows, those of earlier runs come first. Without columns to sort
// by, the runs follow each other.
func merge(runs []*run, by []string) iter.Seq2[arrow.RecordBatch, error] {
	sorted := make([]iter.Seq2[store.Batch, error], len(runs))
	for i, r := range runs {
		sorted[i] = func(yield func(store.Batch, error) bool) {
			for rec, err := range r.rows(context.Background()) {
				if !yield(store.Batch{RecordBatch: rec, File: uint32(i)}, err) {
					return
				}
			}
		}
	}
	return mergeSorted(sorted, by)
}

// mergeSorted yields rows in order that come sorted in several ways; of equal rows, those of earlier files come first.
//
// It holds a batch of each. The batch that ends first decides how far all can be yielded: nothing that is still to come
// after it, or in another way, belongs before that.
func mergeSorted(sorted []iter.Seq2[store.Batch, error], by []string) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		m := &merger{by: by}
		for _, rows := range sorted {
			c := &cursor{}
			c.next, c.stop = iter.Pull2(rows)
			defer c.stop()
			m.cursors = append(m.cursors, c)
		}
		for {
			rec, err := m.step()
			if rec == nil && err == nil || !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// A merger merges what cursors go through.
type merger struct {
	by      []string
	cursors []*cursor // that have not ended, in the order of the files that they are in
}

// A cursor is a place in rows that are in order.
type cursor struct {
	next func() (store.Batch, error, bool)
	stop func()
	rows arrow.RecordBatch // what is left of the batch at hand; nil at the end
	file uint32            // that these come from
}

// fill reads the next batch if there is nothing left of the one before.
func (c *cursor) fill() error {
	for c.rows == nil || c.rows.NumRows() == 0 {
		b, err, ok := c.next()
		if err != nil || !ok {
			c.rows = nil
			return err
		}
		c.rows, c.file = b.RecordBatch, b.File
	}
	return nil
}

// step returns the next rows, nil at the end.
func (m *merger) step() (arrow.RecordBatch, error) {
	var open []*cursor
	for _, c := range m.cursors {
		if err := c.fill(); err != nil {
			return nil, err
		}
		if c.rows != nil {
			open = append(open, c)
		}
	}
	slices.SortStableFunc(open, func(a, b *cursor) int { return cmp.Compare(a.file, b.file) })
	m.cursors = open
	if len(open) == 0 {
		return nil, nil
	}
	if len(open) == 1 || len(m.by) == 0 {
		rec := open[0].rows
		open[0].rows = nil
		return rec, nil
	}
	parts, err := m.cut()
	if err != nil {
		return nil, err
	}
	all, err := concatenate(parts, parts[0].Schema())
	if err != nil {
		return nil, err
	}
	all, _, err = store.SortRows(all, m.by)
	return all, err
}

// errNoOrder cannot happen: the runs were sorted by these columns.
var errNoOrder = errors.New("sort: the columns have no order")

// cut takes from all cursors what belongs before the end of the batch that ends first.
func (m *merger) cut() ([]arrow.RecordBatch, error) {
	batches := make([]arrow.RecordBatch, len(m.cursors))
	for i, c := range m.cursors {
		batches[i] = c.rows
	}
	compare := store.RowComparer(batches, m.by)
	if compare == nil {
		return nil, errNoOrder
	}
	last := func(i int) store.RowAt { return store.RowAt{Batch: uint32(i), Row: uint32(batches[i].NumRows() - 1)} }
	first := 0 // the first of those that end first
	for i := range batches {
		if compare(last(i), last(first)) < 0 {
			first = i
		}
	}
	var parts []arrow.RecordBatch
	for i, rec := range batches {
		limit := 0 // rows equal to the end belong before it in earlier files, and after it in later ones
		if i > first {
			limit = -1
		}
		n := sort.Search(int(rec.NumRows()), func(row int) bool {
			return compare(store.RowAt{Batch: uint32(i), Row: uint32(row)}, last(first)) > limit
		})
		if n > 0 {
			parts = append(parts, rec.NewSlice(0, int64(n)))
			m.cursors[i].rows = rec.NewSlice(int64(n), rec.NumRows())
		}
	}
	return parts, nil
}
