package s3parquet

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// Tables yields the folders of all tables in the store, relative to its location, in ascending order. It costs one
// request per table, however many files the tables have.
func (s *Store) Tables(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for after := ""; ; {
			table, last, err := s.nextTable(ctx, after)
			if err != nil {
				yield("", err)
				return
			}
			if last == "" || table != "" && !yield(table, nil) {
				return
			}
			after = last
		}
	}
}

// nextTable finds the first table after a name, and the name from where to look for the next one ("": nowhere).
func (s *Store) nextTable(ctx context.Context, after string) (table, last string, err error) {
	for o, err := range s.bucket.List(ctx, "", after) {
		if err != nil {
			return "", "", err
		}
		if table, _, ok := strings.Cut(o.Name, suffix+"/_delta_log/"); ok {
			table += suffix
			return table, table + "/" + string(utf8.MaxRune), nil
		}
	}
	return "", "", nil
}

// History yields the commits of a feature's table that the log still holds, the newest first.
func (s *Store) History(ctx context.Context, key feature.Key) iter.Seq2[delta.Entry, error] {
	return func(yield func(delta.Entry, error) bool) {
		t, err := s.table(key)
		if err != nil {
			yield(delta.Entry{}, err)
			return
		}
		t.History(ctx)(yield)
	}
}
