package store

import (
	"context"
	"slices"
)

// A Divider is a snapshot that can say how to cut its rows into parts of about equal size by the values of a column.
type Divider interface {
	Snapshot
	// Divide cuts most of the rows into intervals for so many shards to take turns, without reading rows. It returns nil
	// if the files do not tell, do not lie in the order of the column, or are too small. The same files give the same
	// division, and files that are small beside the others do not change it.
	Divide(ctx context.Context, column string, shards int) (*Division, error)
}

// A Division cuts the values of a column into intervals. Values stand in the form that [OrderedValue] gives them.
type Division struct {
	Column string
	Starts []string // the least value of each interval, ascending
	End    string   // the greatest value of the last one
}

// Interval returns the number of the interval that a value lies in; false for values before the first one and after the
// last one.
func (d *Division) Interval(value string) (int, bool) {
	if value > d.End {
		return 0, false
	}
	i, found := slices.BinarySearch(d.Starts, value)
	if !found {
		i--
	}
	return i, i >= 0
}

// Within are the values of those intervals whose number leaves the remainder index when divided by count, and all values
// that lie in no interval; of these, null where index is 0.
func (d *Division) Within(index, count int) *Within {
	w := &Within{Column: d.Column, Nulls: index == 0, Ranges: []Range{{Max: d.Starts[0], Before: true}}}
	for i := index; i < len(d.Starts); i += count {
		r := Range{Min: d.Starts[i], Max: d.End}
		if i+1 < len(d.Starts) {
			r.Max, r.Before = d.Starts[i+1], true
		}
		w.Ranges = append(w.Ranges, r)
	}
	w.Ranges = append(w.Ranges, Range{Min: d.End + "\x00", Open: true}) // the least text after it
	return w
}
