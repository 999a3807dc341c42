package ingest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

// parquetSource is a Parquet file.
type parquetSource struct {
	file
	columns *columnar.File
}

func openParquet(f file) (Source, error) {
	columns, err := columnar.OpenFile(f, f.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: not a Parquet file that can be read: %w", ErrInput, err), f.Close())
	}
	return &parquetSource{f, columns}, nil
}

// Name implements Source.
func (s *parquetSource) Name(row int64) string { return rowName(row) }

// Hint implements Source.
func (s *parquetSource) Hint() string { return "" }

// Rows implements Source.
func (s *parquetSource) Rows(ctx context.Context, table *arrow.Schema, _ []string) iter.Seq2[arrow.RecordBatch, error] {
	own := s.columns.Schema()
	return func(yield func(arrow.RecordBatch, error) bool) {
		target, err := typesOf(own, table)
		if err != nil {
			yield(nil, fmt.Errorf("%w: %w", ErrInput, err))
			return
		}
		for b, err := range s.columns.Scan(ctx, store.Query{}, 0, own) {
			var rec arrow.RecordBatch
			if err == nil {
				rec, err = store.Conform(b.RecordBatch, target)
			}
			if err != nil {
				err = fmt.Errorf("%w: %w", ErrInput, err)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// typesOf is the columns of own, with the table's types where the table has them.
func typesOf(own, table *arrow.Schema) (*arrow.Schema, error) {
	if table == nil {
		return own, nil
	}
	plain := arrow.NewSchema(slices.DeleteFunc(slices.Clone(own.Fields()), func(f arrow.Field) bool {
		return f.Name == feature.ColProvenanceByField
	}), nil)
	merged, err := store.MergeSchema(table, plain)
	if err != nil {
		return nil, err
	}
	fields := make([]arrow.Field, 0, own.NumFields())
	for _, f := range own.Fields() {
		// Versions become strings whatever their type.
		if have, ok := store.Column(merged, f.Name); ok && f.Name != feature.ColProvenanceByField {
			f = have
		}
		fields = append(fields, f)
	}
	return arrow.NewSchema(fields, nil), nil
}
