package s3parquet

import (
	"cmp"
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/columnar"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

var _ store.Divider = (*snapshot)(nil)

const (
	// turns is how many intervals a shard gets of a large table, so that work that lies together is shared by several.
	turns = 8
	// pagesEach is how many pages an interval has at least if a shard gets several. What lies between two of them is read
	// too if it is little, and so is a page of another table in which one ends.
	pagesEach = 32
	// largeShare is which part of the rows of the largest file a file has at least that counts as large.
	largeShare = 4
	// dividedAtOnce is of how many files the pages are looked up at the same time.
	dividedAtOnce = 8
)

// Divide implements store.Divider: by what the large files say of their pages. Intervals have whole pages of these.
func (s *snapshot) Divide(ctx context.Context, column string, shards int) (*store.Division, error) {
	pages, err := s.largePages(ctx, column)
	if err != nil || len(pages) < shards {
		return nil, err
	}
	intervals := shards * max(1, min(turns, len(pages)/pagesEach/shards))
	slices.SortStableFunc(pages, func(a, b columnar.PageBounds) int { return cmp.Compare(a.Min, b.Min) })
	all := int64(0)
	for _, p := range pages {
		all += p.Rows
	}
	d := &store.Division{Column: column}
	before := int64(0)
	for _, p := range pages {
		begins := len(d.Starts) == 0 || before*int64(intervals) >= int64(len(d.Starts))*all
		if begins && (len(d.Starts) == 0 || p.Min > d.Starts[len(d.Starts)-1]) {
			d.Starts = append(d.Starts, p.Min)
		}
		d.End = max(d.End, p.Max)
		before += p.Rows
	}
	return d, nil
}

// largePages returns the bounds of the pages of the large files; nil if one of these does not tell.
func (s *snapshot) largePages(ctx context.Context, column string) ([]columnar.PageBounds, error) {
	found, err := s.pagesOf(ctx, s.largeFiles(), column)
	var pages []columnar.PageBounds
	for _, p := range found {
		if p == nil {
			return nil, err
		}
		pages = append(pages, p...)
	}
	return pages, err
}

// pagesOf returns the bounds of the pages of each of several files; nil for one that does not tell.
func (s *snapshot) pagesOf(ctx context.Context, files []*delta.File, column string) ([][]columnar.PageBounds, error) {
	found := make([][]columnar.PageBounds, len(files))
	if s.Partition(column) {
		return found, nil
	}
	open, ctx := errgroup.WithContext(ctx)
	open.SetLimit(dividedAtOnce)
	for i, f := range files {
		open.Go(func() error {
			d, err := s.open(ctx, f, columnar.ReadOptions{})
			if err != nil {
				return err
			}
			defer d.source.Close()
			found[i], err = d.PageBounds(column)
			return d.explain(s, err)
		})
	}
	return found, open.Wait()
}

// largeFiles are the files that hold most of the rows.
func (s *snapshot) largeFiles() []*delta.File {
	rows, most := make([]int64, len(s.Files)), int64(0)
	for i, f := range s.Files {
		if n := f.ParseStats().NumRecords; n != nil {
			rows[i] = *n
			most = max(most, *n)
		}
	}
	var large []*delta.File
	for i, f := range s.Files {
		if rows[i] > 0 && rows[i] >= most/largeShare {
			large = append(large, f)
		}
	}
	return large
}
