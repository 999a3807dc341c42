package store

import (
	"context"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// An Optimizer moves the rows of feature tables into fewer files that are sorted, so that reading costs less. The rows stay
// the same, all of them: history, deleted ones, and those of other feature versions.
type Optimizer interface {
	// Optimize rewrites files of the newest version of the feature's table where that pays. Rows that are equal in the
	// columns that it sorts by keep their order, and all rows keep their place before whatever is appended later. Readers
	// and writers go on meanwhile. If another one optimizes the same files, it leaves them to that one. Without a table,
	// it returns an error wrapping ErrNoTable.
	Optimize(ctx context.Context, key feature.Key, o Optimization) (Optimized, error)
}

// An Optimization says how to rewrite files.
type Optimization struct {
	// SortBy are the columns to sort by, as Write.SortedBy declares it. Rows without such a column, or with one of a type
	// without a declared order, are moved as they are.
	SortBy []string
	// Least is how many files have to become one for that to pay; 0 means all that are small or not sorted.
	Least int
	// Marks returns the marks (see Write.Marks) that a commit is to set, given the version that it is made from and the one
	// that it makes. Nil sets none.
	Marks func(from Snapshot, to int64) map[string]int64
	// Info is recorded with the commits, like Write.Info.
	Info map[string]string
}

// tidyFiles is how many files Tidy wants to become one. Reading fewer costs less than rewriting them.
const tidyFiles = 32

// Tidy optimizes a feature's table when enough files have come together for it to pay, as o says otherwise. It does nothing
// in a store that does not optimize.
func Tidy(ctx context.Context, s Reader, key feature.Key, o Optimization) (Optimized, error) {
	t, ok := Local(s).(Optimizer)
	if !ok {
		return Optimized{}, nil
	}
	o.Least = tidyFiles
	return t.Optimize(ctx, key, o)
}

// Optimized says what was done to a table.
type Optimized struct {
	Version                  int64 // of the table afterwards
	Removed, Added           int   // files
	BytesRemoved, BytesAdded int64
	Rows                     int64 // that were moved
}
