package columnar

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A condition is an Equal bound to the file's column.
type condition struct {
	leaf  *leaf
	sink  *bytesSink
	value string
}

// bindWhere binds the conditions of a query; possible is false if the file lacks one of the columns, so that all its
// rows have null there.
func bindWhere(root *node, where []store.Equal) (conditions []condition, possible bool, err error) {
	for _, w := range where {
		n := root.child(w.Column)
		if n == nil {
			return nil, false, nil
		}
		if n.leaf < 0 || n.repeated() {
			return nil, false, mismatch(n, arrow.BinaryTypes.String)
		}
		s, err := newSink(n, arrow.BinaryTypes.String)
		if err != nil {
			return nil, false, err
		}
		conditions = append(conditions, condition{&leaf{node: n, sink: s}, s.(*bytesSink), w.Value})
	}
	return conditions, true, nil
}

// excluded reports whether the statistics of a chunk say that it cannot hold the value.
func (f *File) excluded(c *chunk, value string) bool {
	s := &c.meta.MetaData.Statistics
	if s.NullCount == c.rows {
		return true
	}
	return f.hasOrder(c) && len(s.MinValue) > 0 && len(s.MaxValue) > 0 &&
		(bytes.Compare(s.MinValue, []byte(value)) > 0 || bytes.Compare(s.MaxValue, []byte(value)) < 0)
}

// hasOrder reports whether the file says that its statistics follow the type's order; without that they mean nothing.
func (f *File) hasOrder(c *chunk) bool {
	if c.node.leaf >= len(f.meta.ColumnOrders) {
		return false
	}
	_, ok := f.meta.ColumnOrders[c.node.leaf].Value.(*format.TypeDefinedOrder)
	return ok
}

// TextBounds returns bounds of the values of a string column outside of structs; ok is false if the file has none.
func (f *File) TextBounds(column string) (low, high string, ok bool) {
	n := f.root.child(column)
	if n == nil || n.leaf < 0 || n.repeated() || n.elem.Type.V != format.ByteArray {
		return "", "", false
	}
	for i := range f.groups {
		c := &f.groups[i].chunks[n.leaf]
		s := &c.meta.MetaData.Statistics
		if !f.hasOrder(c) || len(s.MinValue) == 0 || len(s.MaxValue) == 0 {
			return "", "", false
		}
		if i == 0 || string(s.MinValue) < low {
			low = string(s.MinValue)
		}
		if i == 0 || string(s.MaxValue) > high {
			high = string(s.MaxValue)
		}
	}
	return low, high, len(f.groups) > 0
}

// constant reports whether the statistics say that a chunk has one value only, nulls aside.
func constant(c *chunk) bool {
	s := &c.meta.MetaData.Statistics
	return len(s.MinValue) > 0 && bytes.Equal(s.MinValue, s.MaxValue)
}

// candidates returns the rows of a row group for which the conditions can hold, by statistics.
func (f *File) candidates(g *rowGroup, conditions []condition) ([]rowRange, error) {
	ranges := []rowRange{{0, g.rows}}
	for _, w := range conditions {
		if f.excluded(&g.chunks[w.leaf.node.leaf], w.value) {
			return nil, nil
		}
	}
	for _, w := range conditions {
		c := &g.chunks[w.leaf.node.leaf]
		if constant(c) || !f.hasOrder(c) || len(ranges) == 0 {
			continue
		}
		pages, ok, err := f.matchingPages(c, w.value)
		if err != nil {
			return nil, err
		}
		if ok {
			ranges = intersect(ranges, pages)
		}
	}
	return ranges, nil
}

// absent reports whether the dictionary of an opened condition shows that no row of the chunk has the value.
func (w *condition) absent() (bool, error) {
	if err := w.leaf.loadDictionary(); err != nil {
		return false, err
	}
	stats := w.leaf.pages.chunk.meta.MetaData.EncodingStats
	data := 0
	for _, s := range stats {
		if s.PageType == format.DictionaryPage {
			continue
		}
		if s.Encoding != format.RLEDictionary && s.Encoding != plainDictionary {
			return false, nil
		}
		data++
	}
	return data > 0 && w.sink.dictOffsets != nil && w.sink.lookup(w.value) == notFound, nil
}

// match sets keep[i] to whether the condition holds for the next rows.
func (w *condition) match(row int64, keep []bool) error {
	l := w.leaf
	if err := l.seek(row); err != nil {
		return err
	}
	l.row += int64(len(keep))
	for len(keep) > 0 {
		if l.left == 0 {
			if _, err := l.nextPage(len(keep), true); err != nil {
				return err
			}
			continue
		}
		k := min(len(keep), l.left)
		if err := w.matchPage(keep[:k]); err != nil {
			return fmt.Errorf("column %q: %w", l.node.path(), err)
		}
		l.left -= k
		keep = keep[k:]
	}
	return nil
}

func (w *condition) matchPage(keep []bool) error {
	l := w.leaf
	if l.node.def == 0 {
		return w.sink.match(w.value, keep)
	}
	for len(keep) > 0 {
		level, k, err := l.defs.run(len(keep))
		switch {
		case err != nil:
			return err
		case k > 0 && level > uint32(l.node.def):
			return corruptf("page has level %d, of at most %d", level, l.node.def)
		case k > 0 && level == uint32(l.node.def):
			err = w.sink.match(w.value, keep[:k])
		case k > 0:
			clear(keep[:k])
		default:
			k = min(len(keep), levelChunk)
			err = w.matchMixed(keep[:k])
		}
		if err != nil {
			return err
		}
		keep = keep[k:]
	}
	return nil
}

// matchMixed handles slots of which some are null.
func (w *condition) matchMixed(keep []bool) error {
	l := w.leaf
	l.levels = grow(l.levels[:0], len(keep))
	if err := fill(&l.defs, l.levels); err != nil {
		return err
	}
	from, err := countLevels(l.levels, l.node.def)
	if err != nil {
		return err
	}
	if err := w.sink.match(w.value, keep[:from]); err != nil {
		return err
	}
	for to := len(keep) - 1; to >= 0; to-- {
		if l.levels[to] != l.node.def {
			keep[to] = false
			continue
		}
		from--
		keep[to] = keep[from]
	}
	return nil
}
