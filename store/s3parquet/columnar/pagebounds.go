package columnar

// PageBounds are the least and the greatest value of a page of a column, in the form of store.OrderedValue. They may lie a
// little lower and higher, where long values were cut.
type PageBounds struct {
	Min, Max string
	Rows     int64
}

// PageBounds returns the bounds of the pages of a column in the order of the file, without those that hold nulls only. It
// returns nil if the file does not tell, or the pages do not lie in ascending order.
func (f *File) PageBounds(column string) ([]PageBounds, error) {
	n := f.root.child(column)
	if n == nil || n.leaf < 0 || n.repeated() || !ordered(n) {
		return nil, nil
	}
	var out []PageBounds
	for i := range f.groups {
		c := &f.groups[i].chunks[n.leaf]
		if !f.hasOrder(c) {
			return nil, nil
		}
		index, err := f.pageIndexOf(c)
		if index == nil || err != nil {
			return nil, err
		}
		for page, at := range index.locations {
			if index.stats.NullPages[page] {
				continue
			}
			least, ok := orderedBound(n, index.stats.MinValues[page])
			most, also := orderedBound(n, index.stats.MaxValues[page])
			if !ok || !also || len(out) > 0 && least < out[len(out)-1].Min {
				return nil, nil
			}
			out = append(out, PageBounds{least, most, lastRow(c, index.locations, page) - at.FirstRowIndex})
		}
	}
	return out, nil
}
