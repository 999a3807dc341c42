package s3parquet

import (
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

const (
	// tierGrowth is how many times as large as what came after it a group of files may be to be merged with it. So files
	// become few and ever larger, like the levels of an LSM tree, and a row is moved a number of times that grows with the
	// logarithm of the table.
	tierGrowth = 4
	// mergedFiles is how many full files one merge writes at most, which bounds its time and its temporary files.
	mergedFiles = 8
)

// A tiering decides which files to merge. Only neighbours are merged: the order of files is the order of their rows.
type tiering struct {
	sortBy []string // nil if the table cannot be sorted
	target int64    // size of a full file
	least  int      // how many files a merge takes at least; 0 merges whatever is not in shape
}

// groups returns the files to merge, group by group.
func (t tiering) groups(files []*delta.File) [][]*delta.File {
	var out [][]*delta.File
	var segment []*delta.File
	end := func() {
		out = append(out, t.divide(segment)...)
		segment = nil
	}
	for _, f := range files {
		if t.full(f) {
			end()
			continue
		}
		segment = append(segment, f)
	}
	end()
	return out
}

// full reports whether a file is large and sorted, so that there is nothing to gain.
func (t tiering) full(f *delta.File) bool { return f.Size >= t.target/2 && t.inOrder(f) }

func (t tiering) inOrder(f *delta.File) bool {
	return len(t.sortBy) == 0 || slices.Equal(sortedBy(f), t.sortBy)
}

// divide finds the merges in files that follow each other.
func (t tiering) divide(files []*delta.File) [][]*delta.File {
	groups := t.bounded(files)
	if t.least > 0 {
		groups = nil
		for _, g := range t.tiers(files) {
			groups = append(groups, t.bounded(g)...)
		}
	}
	return slices.DeleteFunc(groups, func(g []*delta.File) bool {
		return len(g) < t.least || len(g) == 1 && t.inOrder(g[0])
	})
}

// bounded cuts files into groups that one merge can take.
func (t tiering) bounded(files []*delta.File) [][]*delta.File {
	var out [][]*delta.File
	size := int64(0)
	for _, f := range files {
		if len(out) == 0 || size+f.Size > mergedFiles*t.target {
			out, size = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], f)
		size += f.Size
	}
	return out
}

// tiers groups files so that each group is more than tierGrowth times as large as the next one.
func (t tiering) tiers(files []*delta.File) [][]*delta.File {
	type tier struct {
		files []*delta.File
		size  int64
	}
	var stack []tier
	for _, f := range files {
		stack = append(stack, tier{[]*delta.File{f}, f.Size})
		for n := len(stack); n > 1 && stack[n-2].size <= tierGrowth*stack[n-1].size; n-- {
			stack[n-2] = tier{append(stack[n-2].files, stack[n-1].files...), stack[n-2].size + stack[n-1].size}
			stack = stack[:n-1]
		}
	}
	out := make([][]*delta.File, len(stack))
	for i, s := range stack {
		out[i] = s.files
	}
	return out
}
