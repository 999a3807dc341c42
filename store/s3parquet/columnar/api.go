package columnar

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ReadOptions tunes reading; the zero value is good for object storage and folders.
type ReadOptions struct {
	// ReadAhead bounds the bytes that one scan or fetch holds of the file at a time, except that it always holds
	// one page of each column; 0 means 32 MiB.
	ReadAhead int64
	// BatchRows bounds the rows of a batch; 0 means 32,768.
	BatchRows int
	// BatchBytes is about how large a batch gets in memory; 0 means 16 MiB.
	BatchBytes int64
}

// A File is an open Parquet file. It is safe for concurrent use if its reader is.
type File struct{}

// OpenFile reads the footer of a Parquet file of the given size. A damaged file is an error wrapping
// store.ErrCorrupt, one that needs what is not there (encryption, say) an error wrapping store.ErrUnsupported.
func OpenFile(r io.ReaderAt, size int64) (*File, error) { return ReadOptions{}.OpenFile(r, size) }

// OpenFile is the function OpenFile with these options.
func (o ReadOptions) OpenFile(r io.ReaderAt, size int64) (*File, error) {
	return nil, errors.ErrUnsupported
}

// Schema is the file's columns, brought to the types that tables keep.
func (f *File) Schema() *arrow.Schema { return nil }

// NumRows is the number of rows in the file.
func (f *File) NumRows() int64 { return 0 }

// SortedBy names the columns by which the rows of the whole file ascend, or nil.
func (f *File) SortedBy() []string { return nil }

// Scan yields the rows that match q, in batches of consecutive rows or, after a filter, with their positions. The
// columns have the types of the table's schema; columns and members that the file lacks come as nulls.
func (f *File) Scan(ctx context.Context, q store.Query, file uint32, table *arrow.Schema) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) { yield(store.Batch{}, errors.ErrUnsupported) }
}

// Fetch returns the given rows, which ascend, with the given columns (nil means all) of the table's schema. It reads
// only the pages that hold them, where the file has an index of its pages.
func (f *File) Fetch(ctx context.Context, rows []uint32, columns []string, table *arrow.Schema) (arrow.RecordBatch, error) {
	return nil, errors.ErrUnsupported
}

// WriterOptions tunes a Writer; the zero value declares no order.
type WriterOptions struct {
	SortedBy      []string // the columns by which the rows ascend, strings by bytes and nulls first; nil declares nothing
	RowGroupRows  int64    // rows per row group; 0 means 1 Mi
	RowGroupBytes int64    // encoded bytes after which a row group ends; 0 means 128 MiB
}

// A Writer writes one Parquet file. It holds at most one row group in memory.
type Writer struct{}

// NewWriter starts a file with the given columns, all of stored types (see store.StoredSchema).
func NewWriter(w io.Writer, schema *arrow.Schema, o WriterOptions) (*Writer, error) {
	return nil, errors.ErrUnsupported
}

// Write adds rows; their schema must be the writer's.
func (w *Writer) Write(rec arrow.RecordBatch) error { return errors.ErrUnsupported }

// Size is about how many bytes the file would have if it were closed now.
func (w *Writer) Size() int64 { return 0 }

// Close writes the rest of the file. It does not close the underlying writer.
func (w *Writer) Close() (Stats, error) { return Stats{}, errors.ErrUnsupported }

// Stats says what was written.
type Stats struct {
	Rows, Bytes int64
	// Columns has an entry for each leaf column outside of lists and maps, by its path joined with dots.
	Columns map[string]ColumnStats
}

// ColumnStats describes the values of a leaf column.
type ColumnStats struct {
	// Path is the column and the members that lead to the leaf.
	Path []string
	// Min and Max are the smallest and greatest value: string, int64, float64, bool, time.Time (UTC; a date is its
	// midnight) or json.Number (a decimal). Both are nil when there is none: only nulls, a NaN, binary values.
	Min, Max any
	// NullCount counts the rows in which the leaf or a struct around it is null.
	NullCount int64
}
