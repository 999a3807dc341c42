package store

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
)

// Size is about how many bytes the values of a batch have: of its rows, not of the buffers that these are a part of.
func Size(rec arrow.RecordBatch) int64 {
	n := int64(0)
	for _, col := range rec.Columns() {
		n += sizeOf(col.Data(), int64(col.Data().Offset()), int64(col.Len()))
	}
	return n
}

// sizeOf is the size of the rows from off on.
func sizeOf(d arrow.ArrayData, off, rows int64) int64 {
	n := int64(0)
	if len(d.Buffers()) > 0 && d.Buffers()[0] != nil {
		n = bitutil.BytesForBits(rows)
	}
	switch t := d.DataType().(type) {
	case *arrow.StringType, *arrow.BinaryType:
		from, to := extent(d, off, rows)
		return n + 4*rows + to - from
	case *arrow.ListType, *arrow.MapType:
		from, to := extent(d, off, rows)
		child := d.Children()[0]
		return n + 4*rows + sizeOf(child, int64(child.Offset())+from, to-from)
	case *arrow.StructType:
		for _, child := range d.Children() {
			n += sizeOf(child, int64(child.Offset())+off, rows)
		}
		return n
	case arrow.FixedWidthDataType:
		return n + bitutil.BytesForBits(rows*int64(t.BitWidth()))
	}
	return n + int64(d.SizeInBytes()) // of no stored type
}

// extent is where the elements of rows begin and end.
func extent(d arrow.ArrayData, off, rows int64) (from, to int64) {
	b := d.Buffers()[1]
	if b == nil || b.Len() == 0 || rows == 0 {
		return 0, 0
	}
	offsets := arrow.Int32Traits.CastFromBytes(b.Bytes())
	return int64(offsets[off]), int64(offsets[off+rows])
}
