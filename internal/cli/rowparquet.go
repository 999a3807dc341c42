package cli

import (
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
)

// printedGroup is how many rows a row group has that is printed; all of them are held in memory.
const printedGroup = 128 << 10

// parquetWriter writes one Parquet file.
type parquetWriter struct {
	w      *columnar.Writer
	schema *arrow.Schema
}

func newParquetWriter(w io.Writer, schema *arrow.Schema) (rowWriter, error) {
	stored, err := store.StoredSchema(schema)
	if err != nil {
		return nil, fmt.Errorf("write parquet: %w", err)
	}
	cw, err := columnar.NewWriter(w, stored, columnar.WriterOptions{RowGroupRows: printedGroup, ByLength: true})
	if err != nil {
		return nil, fmt.Errorf("write parquet: %w", err)
	}
	return &parquetWriter{w: cw, schema: stored}, nil
}

func (p *parquetWriter) Write(rec arrow.RecordBatch) error {
	rec, err := store.Conform(rec, p.schema)
	if err != nil {
		return fmt.Errorf("write parquet: %w", err)
	}
	return p.w.Write(rec)
}

func (p *parquetWriter) Close() error {
	_, err := p.w.Close()
	return err
}
