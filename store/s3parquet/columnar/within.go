package columnar

import (
	"encoding/binary"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A within narrows a scan to the pages that can hold values in some ranges, by their statistics.
type within struct {
	ranges *store.Within
	node   *node
}

// bindWithin returns nil if the file has nothing to tell the values by.
func bindWithin(root *node, w *store.Within) *within {
	if w == nil {
		return nil
	}
	n := root.child(w.Column)
	if n == nil || n.leaf < 0 || n.repeated() || !ordered(n) {
		return nil
	}
	return &within{w, n}
}

// ordered reports whether the bounds of a leaf are in the order that store.OrderedValue means.
func ordered(n *node) bool {
	switch inferScalar(n.elem).ID() {
	case arrow.STRING, arrow.BINARY:
		return n.elem.Type.V == format.ByteArray
	case arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.DATE32:
		_, signed := intOf(n.elem, 64)
		return signed
	}
	return false
}

// touches reports whether values between two bounds, as statistics have them, may be in the ranges. Bounds of another
// width than the values are no bounds.
func (w *within) touches(low, high []byte) bool {
	least, ok := orderedBound(w.node, low)
	most, also := orderedBound(w.node, high)
	return !ok || !also || w.ranges.Touches(least, most)
}

// orderedBound brings a bound of a leaf that is ordered, as statistics have it, to the form of store.OrderedValue.
func orderedBound(n *node, bound []byte) (string, bool) {
	switch {
	case n.elem.Type.V == format.ByteArray:
		return string(bound), true
	case n.elem.Type.V == format.Int32 && len(bound) == 4:
		return store.OrderedInt(int64(int32(binary.LittleEndian.Uint32(bound)))), true
	case n.elem.Type.V == format.Int64 && len(bound) == 8:
		return store.OrderedInt(int64(binary.LittleEndian.Uint64(bound))), true
	}
	return "", false
}

// candidates returns the rows of a row group that can be within the ranges.
func (w *within) candidates(f *File, g *rowGroup) ([]rowRange, error) {
	all := []rowRange{{0, g.rows}}
	c := &g.chunks[w.node.leaf]
	s := &c.meta.MetaData.Statistics
	if !f.hasOrder(c) {
		return all, nil
	}
	if s.NullCount == 0 && len(s.MinValue) > 0 && len(s.MaxValue) > 0 && !w.touches(s.MinValue, s.MaxValue) && !w.ranges.Nulls {
		return nil, nil
	}
	index, err := f.pageIndexOf(c)
	if err != nil || index == nil {
		return all, err
	}
	return index.pages(c, func(page int) bool {
		nulls := w.ranges.Nulls && (len(index.stats.NullCounts) == 0 || index.stats.NullCounts[page] > 0)
		return nulls || !index.stats.NullPages[page] && w.touches(index.stats.MinValues[page], index.stats.MaxValues[page])
	}), nil
}
