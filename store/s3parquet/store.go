package s3parquet

import (
	"context"
	"sync"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// A Layout says where the table of a feature lies under the store's location. Both are Metaxy's.
type Layout int

const (
	// Nested puts feature a/b-c at a/b-c.delta.
	Nested Layout = iota
	// Flat puts feature a/b-c at a__b_c.delta.
	Flat
)

// Options tunes a store; the zero value is good for S3 itself and for folders.
type Options struct {
	Layout         Layout           // zero means Nested
	S3             bucket.S3Options // zero means the usual AWS sources; not used for folders
	TargetFileSize int64            // bytes per Parquet file; 0 means 128 MiB
	CommitRetries  int              // attempts to win a commit; 0 means 20
	SortMemory     int64            // bytes of rows that Optimize holds before it uses temporary files; 0 means 64 MiB
	Maps           []string         // struct columns of texts that new tables have as maps; nil means none
}

// A Store keeps the tables of all features under one location. It is safe for concurrent use, also by several
// processes.
type Store struct {
	bucket bucket.Metered
	opts   Options
	ends   *kept // what describes data files
	pages  *kept // of data files

	mu     sync.Mutex
	tables map[feature.Key]*delta.Table
}

var _ store.Store = (*Store)(nil)

// Open opens the store at a location: s3://bucket/prefix, file:///path, or a plain path. Nothing has to exist there.
func Open(ctx context.Context, location string, o Options) (*Store, error) {
	b, err := bucket.Open(ctx, location, o.S3)
	if err != nil {
		return nil, err
	}
	return New(b, o), nil
}

// New returns the store in a bucket, which it closes.
func New(b bucket.Bucket, o Options) *Store {
	if o.TargetFileSize <= 0 {
		o.TargetFileSize = 128 << 20
	}
	if o.SortMemory <= 0 {
		o.SortMemory = 64 << 20
	}
	return &Store{bucket: bucket.Meter(b), opts: o, tables: map[feature.Key]*delta.Table{},
		ends: newKept(maxEnd, maxEnds), pages: newKept(maxPage, maxPages)}
}

// Location is where the store lives, without credentials.
func (s *Store) Location() string { return s.bucket.URI("") }

// Usage is what was asked of the storage since the store was opened.
func (s *Store) Usage() store.Usage { return store.Usage(s.bucket.Usage()) }

// Close implements store.Store.
func (s *Store) Close() error { return s.bucket.Close() }

// table returns the log of a feature's table; the same one each time, so that what it has read is kept. A key that is
// none, and might lead elsewhere, is an error.
func (s *Store) table(key feature.Key) (*delta.Table, error) {
	if _, err := feature.ParseKey(string(key)); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tables[key]
	if !ok {
		t = &delta.Table{Bucket: s.bucket, Path: s.opts.Layout.Path(key), Retries: s.opts.CommitRetries}
		s.tables[key] = t
	}
	return t, nil
}
