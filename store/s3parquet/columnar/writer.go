package columnar

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const (
	createdBy = "metaxy-pipes version 1.0.0 (build columnar)"
	// writeStep is how many rows are written between two looks at the size of the row group.
	writeStep = 4096
)

// WriterOptions tunes a Writer; the zero value declares no order.
type WriterOptions struct {
	SortedBy      []string // the columns by which the rows ascend, strings by bytes and nulls first; nil declares nothing
	RowGroupRows  int64    // rows per row group; 0 means 1 Mi
	RowGroupBytes int64    // encoded bytes after which a row group ends; 0 means 128 MiB
	// ByLength writes texts that do not repeat as DELTA_LENGTH_BYTE_ARRAY, which takes less time and less room than PLAIN. The
	// readers of today know it; Spark does from 3.3 on.
	ByLength bool
}

// A Writer writes one Parquet file. It holds at most one row group in memory, encoded.
type Writer struct {
	w       io.Writer
	off     int64
	opts    WriterOptions
	schema  *arrow.Schema
	elems   []format.SchemaElement
	columns []columnWriter
	leaves  []*leafWriter
	sorting []format.SortingColumn
	groups  []format.RowGroup
	indexes []pageIndex // of the chunks that were written, in their order
	rows    int64       // in the row group
	total   int64
	end     int64 // where what Stats.EndBytes counts begins
	err     error // the first error; nothing is written after it
}

// NewWriter starts a file with the given columns, all of stored types (see store.StoredSchema).
func NewWriter(w io.Writer, schema *arrow.Schema, o WriterOptions) (*Writer, error) {
	if o.RowGroupRows <= 0 {
		o.RowGroupRows = 1 << 20
	}
	if o.RowGroupBytes <= 0 {
		o.RowGroupBytes = 128 << 20
	}
	stored, err := store.StoredSchema(schema)
	if err != nil {
		return nil, err
	}
	if stored.NumFields() != schema.NumFields() {
		return nil, fmt.Errorf("%w: a file cannot have a column whose type is not known", store.ErrSchema)
	}
	out := &Writer{w: w, opts: o, schema: schema}
	b := schemaBuilder{}
	shredders, err := b.build(schema)
	if err != nil {
		return nil, err
	}
	out.elems, out.leaves = b.elems, b.leaves
	for _, l := range out.leaves {
		l.byLength = o.ByLength && l.width == 0
	}
	out.columns = columnWriters(shredders, schema, out.leaves)
	if out.sorting, err = sortingColumns(o.SortedBy, out.leaves); err != nil {
		return nil, err
	}
	return out, out.write([]byte(magic))
}

func sortingColumns(names []string, leaves []*leafWriter) ([]format.SortingColumn, error) {
	var out []format.SortingColumn
	for _, name := range names {
		found := false
		for i, l := range leaves {
			if len(l.path) == 1 && l.path[0] == name {
				out = append(out, format.SortingColumn{ColumnIdx: int32(i), NullsFirst: true})
				found = true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: rows cannot be sorted by %q, which is not a scalar column", store.ErrSchema, name)
		}
	}
	return out, nil
}

// write passes bytes on and remembers the first error.
func (w *Writer) write(b []byte) error {
	if w.err == nil {
		var n int
		n, w.err = w.w.Write(b)
		w.off += int64(n)
	}
	return w.err
}

// Write adds rows; their schema must be the writer's.
func (w *Writer) Write(rec arrow.RecordBatch) error {
	if w.err != nil {
		return w.err
	}
	for i, f := range w.schema.Fields() {
		if i >= int(rec.NumCols()) || rec.ColumnName(i) != f.Name || !arrow.TypeEqual(rec.Column(i).DataType(), f.Type) {
			return fmt.Errorf("%w: rows have columns %v, the file %v", store.ErrSchema, rec.Schema(), w.schema)
		}
	}
	if int(rec.NumCols()) != w.schema.NumFields() {
		return fmt.Errorf("%w: rows have %d columns, the file %d", store.ErrSchema, rec.NumCols(), w.schema.NumFields())
	}
	for at := int64(0); at < rec.NumRows(); {
		end := min(rec.NumRows(), at+writeStep, at+w.opts.RowGroupRows-w.rows)
		if err := w.append(rec.NewSlice(at, end)); err != nil {
			w.err = err
			return err
		}
		at = end
	}
	return nil
}

// append adds rows that fit the row group, and ends it if it is full.
func (w *Writer) append(rec arrow.RecordBatch) error {
	if err := w.matchTwins(rec); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range w.columns {
		c := &w.columns[i]
		if c.twin != nil {
			continue
		}
		g.Go(func() error {
			if err := c.shred(rec.Column(i), allPresent(int(rec.NumRows()))); err != nil {
				return fmt.Errorf("column %q: %w", rec.ColumnName(i), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	w.rows += rec.NumRows()
	w.total += rec.NumRows()
	if w.rows >= w.opts.RowGroupRows || w.buffered() >= w.opts.RowGroupBytes {
		return w.endGroup()
	}
	return nil
}

// buffered is about the size of the row group at hand.
func (w *Writer) buffered() int64 {
	n := int64(0)
	for i := range w.columns {
		for _, l := range w.columns[i].origin().leaves {
			n += l.size()
		}
	}
	return n
}

// Size is about how many bytes the file would have if it were closed now.
func (w *Writer) Size() int64 { return w.off + w.buffered() }

// endGroup writes the chunks of the row group.
func (w *Writer) endGroup() error {
	if w.rows == 0 {
		return nil
	}
	g := format.RowGroup{NumRows: w.rows, FileOffset: w.off, SortingColumns: w.sorting, Ordinal: int16(len(w.groups))}
	for i := range w.columns {
		if err := w.endColumn(&w.columns[i], &g); err != nil {
			return err
		}
	}
	for i := range w.columns {
		w.columns[i].recycle()
	}
	w.groups = append(w.groups, g)
	w.rows = 0
	return nil
}

// endColumn writes the chunks of a column.
func (w *Writer) endColumn(c *columnWriter, g *format.RowGroup) error {
	for k, l := range c.leaves {
		var chunk writtenChunk
		if c.twin != nil {
			chunk = l.repeat(c.twin.written[k], w.off)
		} else {
			var err error
			if chunk, err = l.endChunk(w.off); err != nil {
				return err
			}
			c.written = append(c.written, chunk)
		}
		for _, p := range chunk.pages {
			if err := w.write(p); err != nil {
				return err
			}
		}
		g.Columns = append(g.Columns, format.ColumnChunk{FileOffset: 0, MetaData: chunk.meta})
		g.TotalByteSize += chunk.meta.TotalUncompressedSize
		g.TotalCompressedSize += chunk.meta.TotalCompressedSize
		w.indexes = append(w.indexes, chunk.index)
	}
	return nil
}

// Close writes the rest of the file. It does not close the underlying writer.
func (w *Writer) Close() (Stats, error) {
	if w.err == nil {
		w.err = w.endGroup()
	}
	if w.err == nil {
		w.err = w.writeIndexes()
	}
	if w.err == nil {
		w.err = w.writeFooter()
	}
	if w.err != nil {
		return Stats{}, w.err
	}
	stats := Stats{Rows: w.total, Bytes: w.off, EndBytes: w.off - w.end, Columns: make(map[string]ColumnStats)}
	for _, l := range w.leaves {
		if l.maxRep == 0 {
			c := l.fileStats()
			stats.Columns[joinPath(l.path)] = c
		}
	}
	w.err = fmt.Errorf("the file is closed")
	return stats, nil
}

// writeIndexes writes all column indexes and then all offset indexes, as the format recommends. The column indexes that
// tell where in a sorted file a value can be come last, so that one read of the file's end has all that it takes to find it.
func (w *Writer) writeIndexes() error {
	chunks := make([]*format.ColumnChunk, 0, len(w.indexes))
	for i := range w.groups {
		for j := range w.groups[i].Columns {
			chunks = append(chunks, &w.groups[i].Columns[j])
		}
	}
	if err := w.writeColumnIndexes(chunks, false); err != nil {
		return err
	}
	w.end = w.off
	if err := w.writeColumnIndexes(chunks, true); err != nil {
		return err
	}
	for i, c := range chunks {
		b, err := encodeThrift(w.indexes[i].offsets)
		if err != nil {
			return fmt.Errorf("write offset index: %w", err)
		}
		c.OffsetIndexOffset, c.OffsetIndexLength = w.off, int32(len(b))
		if err := w.write(b); err != nil {
			return err
		}
	}
	return nil
}

// writeColumnIndexes writes the column indexes of those chunks whose column the rows are sorted by, or of the others.
func (w *Writer) writeColumnIndexes(chunks []*format.ColumnChunk, sorting bool) error {
	for i, c := range chunks {
		leaf := int32(i % len(w.leaves))
		sorts := slices.ContainsFunc(w.sorting, func(s format.SortingColumn) bool { return s.ColumnIdx == leaf })
		if !w.indexes[i].hasStats || sorts != sorting {
			continue
		}
		b, err := encodeThrift(w.indexes[i].columns)
		if err != nil {
			return fmt.Errorf("write column index: %w", err)
		}
		c.ColumnIndexOffset, c.ColumnIndexLength = w.off, int32(len(b))
		if err := w.write(b); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) writeFooter() error {
	meta := format.FileMetaData{
		Version: 2, Schema: w.elems, NumRows: w.total, RowGroups: w.groups, CreatedBy: createdBy,
	}
	for range w.leaves {
		order := format.ColumnOrder{Value: &format.TypeDefinedOrder{}}
		meta.ColumnOrders = append(meta.ColumnOrders, order)
	}
	if len(w.opts.SortedBy) > 0 {
		names, err := json.Marshal(w.opts.SortedBy)
		if err != nil {
			return fmt.Errorf("write footer: %w", err)
		}
		meta.KeyValueMetadata = []format.KeyValue{{Key: sortedByKey, Value: string(names)}}
	}
	b, err := encodeThrift(meta)
	if err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(b)))
	return w.write(append(b, magic...))
}
