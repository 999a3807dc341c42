package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// listingColumns are the columns of a listing beside the ids. An object has an ETag or a time, as its storage has it.
var listingColumns = []string{"path", "size", "etag", "mtime"}

// An object is one entry of a listing.
type object struct {
	path    string
	size    int64
	etag    string    // "" where the storage has none
	mtime   time.Time // of files
	content string    // hash of the content, if it was asked for
}

// version is what changes when the object does.
func (o object) version() string {
	switch {
	case o.content != "":
		return o.content
	case o.etag != "":
		return o.etag
	}
	return strconv.FormatInt(o.size, 10) + "-" + strconv.FormatInt(o.mtime.UnixMicro(), 10)
}

// listingSource is a folder or a prefix, of which each object is a sample. It is listed once.
type listingSource struct {
	objects []object
	ids     idMaker
}

// openListing lists the objects, in order of their paths.
func openListing(ctx context.Context, o SourceOptions) (Source, error) {
	ids, err := newIDMaker(o.IDFrom, o.IDColumns)
	if err != nil {
		return nil, err
	}
	for _, name := range listingColumns {
		if slices.Contains(o.IDColumns, name) && ids.pattern == nil && name != "path" {
			return nil, fmt.Errorf("%w: the id column %q has the name of a column of every listing", ErrInput, name)
		}
	}
	objects, err := list(ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: --from %s: there is no such folder", ErrSetup, Shown(o.From))
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", Shown(o.From), err)
	}
	for _, obj := range objects {
		if !utf8.ValidString(obj.path) {
			return nil, fmt.Errorf("%w: the name %q is not UTF-8", ErrInput, obj.path)
		}
	}
	return &listingSource{objects, ids}, nil
}

// Name implements Source.
func (s *listingSource) Name(row int64) string {
	return fmt.Sprintf("row %d (%q)", row+1, s.objects[row].path)
}

// Hint implements Source.
func (s *listingSource) Hint() string { return "; --id-from '{path}' makes ids of whole paths" }

// Close implements Source.
func (s *listingSource) Close() error { return nil }

// Rows implements Source.
func (s *listingSource) Rows(ctx context.Context, table *arrow.Schema, _ []string) iter.Seq2[arrow.RecordBatch, error] {
	if table == nil || !table.HasField("mtime") {
		var fields []arrow.Field
		if table != nil {
			fields = table.Fields()
		}
		mtime := arrow.Field{Name: "mtime", Type: arrow.FixedWidthTypes.Timestamp_us, Nullable: true}
		table = arrow.NewSchema(append(slices.Clone(fields), mtime), nil)
	}
	return rowsOf(ctx, rowjson.NewShape(table), nil, s.rows(nil), s.rows)
}

// rows yields the objects as JSON, with ids of the schema's types; a nil schema takes them for strings.
func (s *listingSource) rows(schema *arrow.Schema) objectSeq {
	return func(yield func([]byte, error) bool) {
		var dst []byte
		for _, o := range s.objects {
			var err error
			dst, err = s.appendRow(dst[:0], o, schema)
			if !yield(dst, err) || err != nil {
				return
			}
		}
	}
}

func (s *listingSource) appendRow(dst []byte, o object, schema *arrow.Schema) ([]byte, error) {
	columns, err := s.ids.columns(o.path)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	for _, c := range columns {
		if c[0] == "path" {
			continue
		}
		dst = append(rowjson.AppendString(dst, c[0]), ':')
		value := rowjson.AppendString(nil, c[1])
		if schema != nil {
			if f, ok := store.Column(schema, c[0]); ok {
				value = typed(c[1], f.Type)
			}
		}
		dst = append(append(dst, value...), ',')
	}
	dst = rowjson.AppendString(append(dst, `"path":`...), o.path)
	dst = strconv.AppendInt(append(dst, `,"size":`...), o.size, 10)
	if o.etag != "" {
		dst = rowjson.AppendString(append(dst, `,"etag":`...), o.etag)
	} else {
		dst = rowjson.AppendString(append(dst, `,"mtime":`...), o.mtime.UTC().Format("2006-01-02T15:04:05.000000Z"))
	}
	return append(dst, '}'), nil
}

// Version is the version of every field of a listed object.
func (s *listingSource) Version(row int64) string { return s.objects[row].version() }
