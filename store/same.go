package store

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
)

// Same reports whether two columns are one: of one type, over the same memory. Equal values elsewhere are not the same. The
// data versions of a sample are most often its provenance, so that what is the same need not be worked on twice.
func Same(a, b arrow.Array) bool {
	return a == b || sameData(a.Data(), b.Data())
}

func sameData(a, b arrow.ArrayData) bool {
	return a.Len() == b.Len() && a.Offset() == b.Offset() && slices.Equal(a.Buffers(), b.Buffers()) &&
		slices.EqualFunc(a.Children(), b.Children(), sameData) && a.Dictionary() == b.Dictionary() &&
		arrow.TypeEqual(a.DataType(), b.DataType())
}

// sameBefore is the place of the first column that is the same as the one at a place: that place itself if no other is.
func sameBefore(rec arrow.RecordBatch, at int) int {
	for i := range at {
		if Same(rec.Column(i), rec.Column(at)) {
			return i
		}
	}
	return at
}
