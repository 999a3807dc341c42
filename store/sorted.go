package store

import "context"

// A Sorted is a snapshot that knows of files whose rows are in order.
type Sorted interface {
	Snapshot
	// SortedRuns puts all files of the table into at most so many runs by a column; false if that is not possible, or a
	// file neither was declared to be in order (see Write.SortedBy) nor looks like it. Whoever relies on the order has to
	// check it: nobody has looked at the rows.
	SortedRuns(ctx context.Context, column string, most int) ([]SortedRun, bool, error)
}

// A SortedRun is files whose rows ascend by a column when the files are read one after the other. Their ordinals ascend too.
type SortedRun []SortedFile

// A SortedFile is a file whose rows ascend by a column: strings by bytes, integers by value, nulls first.
type SortedFile struct {
	Ordinal int   // of the file, as in Query.Files
	Rows    int64 // that it has

	// Low and High bound the column's values in the form of [OrderedValue], if the file is Bounded. A file with nulls is not.
	Low, High string
	Bounded   bool
}

// JoinRuns puts files, whose ordinals ascend, into at most so many runs; false if there would be more. A file follows the
// one that ends nearest before it begins.
func JoinRuns(files []SortedFile, most int) ([]SortedRun, bool) {
	var runs []SortedRun
	for _, f := range files {
		best := -1
		for i, run := range runs {
			last := run[len(run)-1]
			follows := f.Bounded && last.Bounded && last.High <= f.Low
			if follows && (best < 0 || last.High > runs[best][len(runs[best])-1].High) {
				best = i
			}
		}
		switch {
		case best >= 0:
			runs[best] = append(runs[best], f)
		case len(runs) == most:
			return nil, false
		default:
			runs = append(runs, SortedRun{f})
		}
	}
	return runs, true
}
