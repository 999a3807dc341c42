package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A Source yields samples.
type Source interface {
	// Rows yields the samples in batches, anew at each call. Columns that the table has keep their types; a nil table
	// has none. Iteration ends after the first error.
	Rows(ctx context.Context, table *arrow.Schema, ids []string) iter.Seq2[arrow.RecordBatch, error]
	// Name says in an error which row is meant; rows count from 0.
	Name(row int64) string
	// Hint says what the user can do about rows with one id; "" when there is nothing.
	Hint() string
	io.Closer
}

// SourceOptions says where samples come from. From is required.
type SourceOptions struct {
	// From is a file, a folder, a pattern with * and **, an s3:// location, or - for Stdin.
	From string
	// Format is jsonl, json, csv, parquet or listing; "" tells it by the name.
	Format string
	// IDFrom makes the ids of a listing: a template such as {stem}, or a regular expression with named groups; "" means
	// {stem}.
	IDFrom string
	// IDColumns are the feature's id columns.
	IDColumns []string
	// Rows refuses a listing: From has to be a file of rows.
	Rows bool
	// ContentHash makes a hash of the content the version of a listed object; false takes its ETag, or size and time.
	ContentHash bool
	// S3 says how to reach an s3:// location; zero means the usual AWS sources.
	S3 bucket.S3Options
	// Stdin is what - reads; nil means nothing.
	Stdin io.Reader
}

// formats are the names of the formats.
var formats = []string{"jsonl", "json", "csv", "parquet", "listing"}

// Open opens a source. What is set up wrongly gives an error wrapping ErrSetup.
func Open(ctx context.Context, o SourceOptions) (Source, error) {
	format, err := o.format()
	if err != nil {
		return nil, err
	}
	if format == "listing" {
		if o.Rows {
			return nil, fmt.Errorf("%w: --from %s: expected a file of rows; a listing of objects is for ingest", ErrSetup, Shown(o.From))
		}
		return openListing(ctx, o)
	}
	if o.IDFrom != "" || o.ContentHash {
		return nil, fmt.Errorf("%w: --id-from and --hash are for listings; %s is a file of samples", ErrSetup, o.From)
	}
	f, err := openFile(ctx, o)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: --from %s: there is no such file", ErrSetup, Shown(o.From))
	}
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	switch format {
	case "csv":
		return &csvSource{file: f}, nil
	case "parquet":
		return openParquet(f)
	default:
		return &jsonSource{file: f, array: format == "json"}, nil
	}
}

// format tells what From is.
func (o SourceOptions) format() (string, error) {
	if o.Format != "" {
		if !slices.Contains(formats, o.Format) {
			return "", fmt.Errorf("%w: --from-format %q: expected %s", ErrSetup, o.Format, strings.Join(formats, ", "))
		}
		return o.Format, nil
	}
	if o.From == "-" {
		return "jsonl", nil
	}
	if isPattern(o.From) || isFolder(o.From) {
		return "listing", nil
	}
	switch strings.ToLower(path.Ext(o.From)) {
	case ".jsonl", ".ndjson":
		return "jsonl", nil
	case ".json":
		return "json", nil
	case ".csv":
		return "csv", nil
	case ".parquet":
		return "parquet", nil
	}
	if strings.HasPrefix(o.From, "s3://") {
		return "listing", nil
	}
	return "", fmt.Errorf("%w: --from %s: expected a .jsonl, .csv or .parquet file, a folder, or a pattern such as "+
		"'videos/*.mp4'; --from-format says what a file with another name holds", ErrSetup, Shown(o.From))
}

// Shown is a location without what may be secret.
func Shown(location string) string {
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok {
		return location
	}
	rest, _, _ = strings.Cut(rest, "?")
	host, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if slash {
		host += "/" + path
	}
	return scheme + "://" + host
}
