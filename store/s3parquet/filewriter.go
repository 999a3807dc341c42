package s3parquet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// sliceRows is how many rows are written between two looks at the size of a file.
const sliceRows = 16 << 10

// sortedByTag is the tag of an add action that names the columns by which the file's rows ascend, as a JSON array.
const sortedByTag = "metaxy.sorted_by"

// endTag is the tag of an add action that says how many bytes at the end of the file describe where its rows are.
const endTag = "metaxy_pipes.end_bytes"

// A fileWriter writes rows as data files that no commit names yet.
type fileWriter struct {
	store    *Store
	table    *delta.Table
	base     *delta.Snapshot // nil when there is no table
	sortedBy []string
	whole    bool // one file, however large

	schema *arrow.Schema // of the files; nil before the first row
	input  *arrow.Schema // of the rows; nil before the first row
	open   *openFile     // nil between two files

	names []string // of all files that were begun
	done  []delta.Add
	rows  int64
	bytes int64
}

// An openFile is a data file whose bytes go to the bucket while it is being written.
type openFile struct {
	name   string
	writer *columnar.Writer
	pipe   *io.PipeWriter
	put    chan error
	size   int64 // valid after put has answered
}

// writeAll writes rows until there are no more.
func (w *fileWriter) writeAll(ctx context.Context, rows iter.Seq2[arrow.RecordBatch, error]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if rows == nil {
		return nil
	}
	for rec, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && rec.NumRows() > 0 {
			err = w.write(ctx, rec)
		}
		if err != nil {
			return errors.Join(err, w.abort(err))
		}
	}
	if w.open == nil {
		return nil
	}
	return w.finish()
}

func (w *fileWriter) write(ctx context.Context, rec arrow.RecordBatch) error {
	if err := w.settle(rec.Schema()); err != nil {
		return err
	}
	rec, err := store.Conform(rec, w.schema)
	if err != nil {
		return err
	}
	if w.base != nil {
		if err := checkNulls(rec, w.base.Required()); err != nil {
			return err
		}
	}
	for from := int64(0); from < rec.NumRows(); from += sliceRows {
		if w.open == nil {
			if err := w.begin(ctx); err != nil {
				return err
			}
		}
		slice := rec.NewSlice(from, min(from+sliceRows, rec.NumRows()))
		if err := w.open.writer.Write(slice); err != nil {
			return err
		}
		w.rows += slice.NumRows()
		if !w.whole && w.open.writer.Size() >= w.store.opts.TargetFileSize {
			if err := w.finish(); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle fixes the columns of the files by the schema of the first rows: all columns of the table, and the new ones.
func (w *fileWriter) settle(rows *arrow.Schema) error {
	if w.input != nil {
		if !rows.Equal(w.input) {
			return fmt.Errorf("%w: the batches have different schemas: %s and %s", store.ErrSchema, w.input, rows)
		}
		return nil
	}
	var table *arrow.Schema
	if w.base != nil {
		table = w.base.Schema
	}
	merged, err := store.MergeSchema(table, rows)
	if err != nil {
		return err
	}
	if merged.NumFields() == 0 {
		return fmt.Errorf("%w: the rows have no column whose type is known", store.ErrSchema)
	}
	for _, name := range w.sortedBy {
		if !merged.HasField(name) {
			return fmt.Errorf("%w: the rows are sorted by %q, which is not a column", store.ErrSchema, name)
		}
	}
	if w.base == nil {
		merged = withMaps(merged, w.store.opts.Maps)
	}
	w.schema, w.input = merged, rows
	return nil
}

// withMaps makes maps from texts to texts of the named struct columns that have only texts as members.
func withMaps(s *arrow.Schema, names []string) *arrow.Schema {
	fields := s.Fields()
	for i, f := range fields {
		t, ok := f.Type.(*arrow.StructType)
		if !ok || !slices.Contains(names, f.Name) {
			continue
		}
		if !slices.ContainsFunc(t.Fields(), func(m arrow.Field) bool { return m.Type.ID() != arrow.STRING }) {
			fields[i].Type = arrow.MapOf(arrow.BinaryTypes.String, arrow.BinaryTypes.String)
		}
	}
	return arrow.NewSchema(fields, nil)
}

// begin starts the next file.
func (w *fileWriter) begin(ctx context.Context) error {
	r, pipe := io.Pipe()
	f := &openFile{pipe: pipe, put: make(chan error, 1),
		name: fmt.Sprintf("part-%05d-%s-c000.snappy.parquet", len(w.done), uuid.NewString())}
	w.open, w.names = f, append(w.names, f.name)
	// The upload begins first, because a new writer writes at once.
	go func() {
		size, err := w.store.bucket.Put(ctx, path.Join(w.table.Path, f.name), r)
		f.size = size
		r.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // the writer must not wait for a reader that is gone
		f.put <- err
	}()
	var err error
	f.writer, err = columnar.NewWriter(pipe, w.schema, columnar.WriterOptions{SortedBy: w.sortedBy})
	return err
}

// finish completes the open file.
func (w *fileWriter) finish() error {
	f := w.open
	stats, err := f.writer.Close()
	if err != nil {
		return errors.Join(err, w.abort(err))
	}
	w.open = nil
	if err := errors.Join(f.pipe.Close(), <-f.put); err != nil {
		return err
	}
	text, err := w.encodeStats(stats)
	if err != nil {
		return err
	}
	w.done = append(w.done, delta.Add{Path: f.name, Size: f.size, Stats: text, Tags: w.tags(stats)})
	w.bytes += f.size
	return nil
}

// abort breaks the open file off, so that it never becomes visible, and returns why it could not be written if that
// is another error than the one given.
func (w *fileWriter) abort(cause error) error {
	f := w.open
	if f == nil {
		return nil
	}
	w.open = nil
	_ = f.pipe.CloseWithError(cause)
	if err := <-f.put; !errors.Is(err, cause) {
		return err
	}
	return nil
}

// encodeStats brings the statistics of a file into the log's form.
func (w *fileWriter) encodeStats(stats columnar.Stats) (string, error) {
	leaves := make([]delta.Leaf, 0, len(stats.Columns))
	for _, c := range stats.Columns {
		leaves = append(leaves, delta.Leaf{Path: c.Path, Min: c.Min, Max: c.Max, NullCount: c.NullCount})
	}
	return delta.EncodeStats(stats.Rows, leaves, w.schema)
}

// tags say what a reader would have to open a file for.
func (w *fileWriter) tags(stats columnar.Stats) map[string]*string {
	end := strconv.FormatInt(stats.EndBytes, 10)
	out := map[string]*string{endTag: &end}
	if len(w.sortedBy) == 0 {
		return out
	}
	names, err := json.Marshal(w.sortedBy)
	if err != nil {
		panic(err) // strings
	}
	text := string(names)
	out[sortedByTag] = &text
	return out
}

// endBytes is what the tags of a data file say of its end, or 0.
func endBytes(f *delta.File) int64 {
	text := f.Tags[endTag]
	if text == nil {
		return 0
	}
	n, err := strconv.ParseInt(*text, 10, 64)
	if err != nil {
		return 0 // it is a hint
	}
	return n
}

// sortedBy returns the columns by which the rows of a data file ascend, as far as its tags say so.
func sortedBy(f *delta.File) []string {
	text := f.Tags[sortedByTag]
	var names []string
	if text == nil || json.Unmarshal([]byte(*text), &names) != nil {
		return nil
	}
	return names
}
