package s3parquet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

const (
	// runGroup bounds the row groups of a run, so that merging many runs holds little of each.
	runGroup = 2 << 20
	// runBatch bounds the batches that are read from it.
	runBatch = 2 << 20
)

// A run is sorted rows in a temporary file, which has lost its name already where the system allows that: it is gone with
// the process.
type run struct {
	file   *os.File
	schema *arrow.Schema
	size   int64
}

// newRun writes rows, which come in order, to a temporary file.
func newRun(schema *arrow.Schema, by []string, rows iter.Seq2[arrow.RecordBatch, error]) (*run, error) {
	f, err := os.CreateTemp("", "metaxy-pipes-sort-*")
	if err != nil {
		return nil, fmt.Errorf("sort: %w", err)
	}
	_ = os.Remove(f.Name()) // where that fails, Close does it
	r := &run{file: f, schema: schema}
	if err := r.write(by, rows); err != nil {
		return nil, errors.Join(fmt.Errorf("sort in %s: %w", os.TempDir(), err), r.Close())
	}
	return r, nil
}

func (r *run) write(by []string, rows iter.Seq2[arrow.RecordBatch, error]) error {
	out := bufio.NewWriterSize(r.file, 1<<20)
	w, err := columnar.NewWriter(out, r.schema, columnar.WriterOptions{SortedBy: by, RowGroupBytes: runGroup})
	if err != nil {
		return err
	}
	for rec, err := range rows {
		if err == nil {
			err = w.Write(rec)
		}
		if err != nil {
			return err
		}
	}
	stats, err := w.Close()
	r.size = stats.Bytes
	return errors.Join(err, out.Flush())
}

// rows yields the rows again.
func (r *run) rows(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		f, err := columnar.ReadOptions{BatchBytes: runBatch}.OpenFile(r.file, r.size)
		if err != nil {
			yield(nil, err)
			return
		}
		for b, err := range f.Scan(ctx, store.Query{}, 0, r.schema) {
			if !yield(b.RecordBatch, err) {
				return
			}
		}
	}
}

// Close removes the file.
func (r *run) Close() error {
	err := r.file.Close()
	if removed := os.Remove(r.file.Name()); removed != nil && !errors.Is(removed, os.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return err
}
