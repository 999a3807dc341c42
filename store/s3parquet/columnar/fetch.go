package columnar

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const (
	// smallGroup is the size up to which the columns of a row group are read whole if the index of their pages is not in
	// memory: to look at it would be one more round trip and save little.
	smallGroup = 1 << 20
	// tinyGroup is the size up to which they are read whole in any case.
	tinyGroup = 64 << 10
)

// Fetch returns the given rows, which ascend, with the given columns (nil means all) of the table's schema. It reads
// only the pages that hold them, where the file has an index of its pages.
func (f *File) Fetch(
	ctx context.Context, rows []uint32, columns []string, table *arrow.Schema,
) (rec arrow.RecordBatch, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fetch: %w", err)
		}
	}()
	defer recoverCorrupt(&err)
	to, err := store.Query{Columns: columns}.Project(table)
	if err != nil {
		return nil, err
	}
	unique, positions, err := f.distinctRows(rows)
	if err != nil {
		return nil, err
	}
	b, err := bind(f.root, to)
	if err != nil {
		return nil, err
	}
	defer b.close()
	for i := range f.groups {
		var ranges []rowRange
		if ranges, unique = rangesIn(&f.groups[i], unique); len(ranges) == 0 {
			continue
		}
		if err := f.fetchGroup(ctx, &f.groups[i], b.leaves, ranges); err != nil {
			return nil, err
		}
	}
	count := 0
	if len(positions) > 0 {
		count = positions[len(positions)-1] + 1
	}
	if rec, err = b.record(count); err != nil || count == len(rows) {
		return rec, err
	}
	return store.Take(rec, positions)
}

// distinctRows returns the rows without repetitions, and where among them each of the rows is.
func (f *File) distinctRows(rows []uint32) (unique []uint32, positions []int, err error) {
	for i, row := range rows {
		if int64(row) >= f.NumRows() {
			return nil, nil, fmt.Errorf("the file has no row %d, only %d rows", row, f.NumRows())
		}
		if i > 0 && row < rows[i-1] {
			return nil, nil, fmt.Errorf("row %d was asked for after row %d; rows have to ascend", row, rows[i-1])
		}
		if i == 0 || row > rows[i-1] {
			unique = append(unique, row)
		}
		positions = append(positions, len(unique)-1)
	}
	return unique, positions, nil
}

// rangesIn returns those of the ascending rows that lie in a row group, counted from its first, and the rows after it.
func rangesIn(g *rowGroup, rows []uint32) (ranges []rowRange, rest []uint32) {
	for len(rows) > 0 && int64(rows[0]) < g.first+g.rows {
		row := int64(rows[0]) - g.first
		if n := len(ranges); n > 0 && ranges[n-1].end == row {
			ranges[n-1].end++
		} else {
			ranges = append(ranges, rowRange{row, row + 1})
		}
		rows = rows[1:]
	}
	return ranges, rows
}

// fetchGroup reads rows of one row group.
func (f *File) fetchGroup(ctx context.Context, g *rowGroup, leaves []*leaf, ranges []rowRange) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	total := int64(0)
	for _, l := range leaves {
		total += g.chunks[l.node.leaf].end - g.chunks[l.node.leaf].start
	}
	var reads readAhead
	defer reads.close()
	worth := total > smallGroup || total > tinyGroup && f.indexAtHand(g, leaves)
	indexed := worth && countRows(ranges) < g.rows/2
	if err := f.openLeaves(g, leaves, ranges, indexed, &reads); err != nil {
		return err
	}
	return fillLeaves(leaves, ranges)
}

// indexAtHand reports whether the places of the pages of leaves have been read.
func (f *File) indexAtHand(g *rowGroup, leaves []*leaf) bool {
	return !slices.ContainsFunc(leaves, func(l *leaf) bool {
		m := g.chunks[l.node.leaf].meta
		_, known := f.r.known(span{m.OffsetIndexOffset, m.OffsetIndexOffset + int64(m.OffsetIndexLength)})
		return m.OffsetIndexLength > 0 && !known
	})
}
