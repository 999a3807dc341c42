package columnar

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A columnWriter writes a column of the schema. If it comes with the very values of an earlier column, as data versions do
// that are the provenance, it is that column's twin: it is not encoded, and the other's pages are written once more.
type columnWriter struct {
	shredder
	leaves  []*leafWriter
	twin    *columnWriter  // the column whose values it has in the row group at hand; nil if they are its own
	twinAt  int            // the number of that column
	written []writtenChunk // the chunks of the leaves that were written last, if they may be needed
}

func columnWriters(shredders []shredder, schema *arrow.Schema, leaves []*leafWriter) []columnWriter {
	out := make([]columnWriter, len(shredders))
	for i, s := range shredders {
		out[i].shredder = s
		for len(leaves) > 0 && leaves[0].path[0] == schema.Field(i).Name {
			out[i].leaves, leaves = append(out[i].leaves, leaves[0]), leaves[1:]
		}
	}
	return out
}

// origin is the column that encodes the values.
func (c *columnWriter) origin() *columnWriter {
	if c.twin != nil {
		return c.twin
	}
	return c
}

// recycle takes back the memory of what was written.
func (c *columnWriter) recycle() {
	for k, chunk := range c.written {
		c.leaves[k].recycle(chunk.pages)
	}
	c.written = c.written[:0]
}

// matchTwins finds the twins with the first rows of the file. When some part, it ends the row group, and there are none from
// then on.
func (w *Writer) matchTwins(rec arrow.RecordBatch) error {
	for i := range w.columns {
		c := &w.columns[i]
		if w.total == 0 {
			before := slices.IndexFunc(rec.Columns()[:i], func(a arrow.Array) bool { return store.Same(a, rec.Column(i)) })
			if before >= 0 {
				c.twin, c.twinAt = &w.columns[before], before
			}
			continue
		}
		if c.twin != nil && !store.Same(rec.Column(c.twinAt), rec.Column(i)) {
			return w.partTwins()
		}
	}
	return nil
}

func (w *Writer) partTwins() error {
	err := w.endGroup()
	for i := range w.columns {
		w.columns[i].twin = nil
	}
	return err
}
