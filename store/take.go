package store

import (
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Take returns the given rows of a batch of stored types, in the given order. A negative row becomes nulls. It fails
// when the values of one column would pass 2 GiB, the limit of an Arrow string array.
func Take(rec arrow.RecordBatch, rows []int) (arrow.RecordBatch, error) {
	cols := make([]arrow.Array, rec.NumCols())
	for i := range cols {
		if first := sameBefore(rec, i); first < i {
			cols[i] = cols[first]
			continue
		}
		col, err := TakeArray(rec.Column(i), rows)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", rec.ColumnName(i), err)
		}
		cols[i] = col
	}
	return array.NewRecordBatch(rec.Schema(), cols, int64(len(rows))), nil
}

// TakeArray is Take for one column.
func TakeArray(col arrow.Array, rows []int) (arrow.Array, error) {
	data, err := takeData(col.Data(), rows)
	if err != nil {
		return nil, err
	}
	return array.MakeFromData(data), nil
}

func takeData(d arrow.ArrayData, rows []int) (arrow.ArrayData, error) {
	valid, nulls := takeValidity(d, rows)
	buffers := []*memory.Buffer{valid}
	switch t := d.DataType().(type) {
	case *arrow.NullType:
		return array.NewData(t, len(rows), []*memory.Buffer{nil}, nil, len(rows), 0), nil
	case *arrow.BooleanType:
		buffers = append(buffers, takeBits(d, rows))
	case *arrow.StringType, *arrow.BinaryType:
		offsets, values, err := takeBytes(d, rows)
		if err != nil {
			return nil, err
		}
		buffers = append(buffers, offsets, values)
	case *arrow.ListType, *arrow.MapType:
		offsets, child, err := takeLists(d, rows)
		if err != nil {
			return nil, err
		}
		return array.NewData(t, len(rows), append(buffers, offsets), []arrow.ArrayData{child}, nulls, 0), nil
	case *arrow.StructType:
		children, err := takeMembers(d, rows)
		if err != nil {
			return nil, err
		}
		return array.NewData(t, len(rows), buffers, children, nulls, 0), nil
	case arrow.FixedWidthDataType:
		buffers = append(buffers, takeFixed(d, rows, t.BitWidth()/8))
	default:
		return nil, fmt.Errorf("%w: rows of type %s cannot be taken", ErrSchema, t)
	}
	return array.NewData(d.DataType(), len(rows), buffers, nil, nulls, 0), nil
}

// takeValidity returns no buffer when every taken row is valid.
func takeValidity(d arrow.ArrayData, rows []int) (*memory.Buffer, int) {
	var have []byte
	if b := d.Buffers()[0]; b != nil && d.NullN() != 0 {
		have = b.Bytes()
	}
	var bits []byte
	nulls := 0
	for i, r := range rows {
		if r >= 0 && (have == nil || bitutil.BitIsSet(have, d.Offset()+r)) {
			continue
		}
		if bits == nil {
			bits = make([]byte, bitutil.BytesForBits(int64(len(rows))))
			bitutil.SetBitsTo(bits, 0, int64(len(rows)), true)
		}
		bitutil.ClearBit(bits, i)
		nulls++
	}
	if bits == nil {
		return nil, 0
	}
	return memory.NewBufferBytes(bits), nulls
}

func takeBits(d arrow.ArrayData, rows []int) *memory.Buffer {
	out := make([]byte, bitutil.BytesForBits(int64(len(rows))))
	if b := d.Buffers()[1]; b != nil {
		for i, r := range rows {
			if r >= 0 && bitutil.BitIsSet(b.Bytes(), d.Offset()+r) {
				bitutil.SetBit(out, i)
			}
		}
	}
	return memory.NewBufferBytes(out)
}

func takeFixed(d arrow.ArrayData, rows []int, width int) *memory.Buffer {
	out := make([]byte, len(rows)*width)
	if b := d.Buffers()[1]; b != nil {
		in := b.Bytes()[d.Offset()*width:]
		for i, r := range rows {
			if r >= 0 {
				copy(out[i*width:(i+1)*width], in[r*width:])
			}
		}
	}
	return memory.NewBufferBytes(out)
}

func takeBytes(d arrow.ArrayData, rows []int) (offsets, values *memory.Buffer, err error) {
	in := listOffsets(d)
	out := make([]int32, len(rows)+1)
	total := int64(0)
	for i, r := range rows {
		if r >= 0 {
			total += int64(in[r+1] - in[r])
		}
		if total > math.MaxInt32 {
			return nil, nil, fmt.Errorf("%d rows have more than 2 GiB of values; take fewer at a time", len(rows))
		}
		out[i+1] = int32(total)
	}
	all := make([]byte, 0, total)
	if b := d.Buffers()[2]; b != nil {
		for i := 0; i < len(rows); {
			r, n := rows[i], runLength(rows[i:])
			if r >= 0 {
				all = append(all, b.Bytes()[in[r]:in[r+n]]...)
			}
			i += n
		}
	}
	return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(out)), memory.NewBufferBytes(all), nil
}

// runLength is how many of the first rows follow one on the other.
func runLength(rows []int) int {
	n := 1
	for n < len(rows) && rows[n] == rows[n-1]+1 && rows[0] >= 0 {
		n++
	}
	return n
}

// listOffsets returns the offsets of the rows of a string, list or map column, the first row's first.
func listOffsets(d arrow.ArrayData) []int32 {
	b := d.Buffers()[1]
	if b == nil || b.Len() == 0 {
		return make([]int32, d.Len()+1)
	}
	return arrow.Int32Traits.CastFromBytes(b.Bytes())[d.Offset() : d.Offset()+d.Len()+1]
}

func takeLists(d arrow.ArrayData, rows []int) (*memory.Buffer, arrow.ArrayData, error) {
	in := listOffsets(d)
	out := make([]int32, len(rows)+1)
	var elements []int
	for i, r := range rows {
		if r >= 0 {
			for e := in[r]; e < in[r+1]; e++ {
				elements = append(elements, int(e))
			}
		}
		if len(elements) > math.MaxInt32 {
			return nil, nil, fmt.Errorf("%d rows have more than 2^31 elements; take fewer at a time", len(rows))
		}
		out[i+1] = int32(len(elements))
	}
	child, err := takeData(d.Children()[0], elements)
	return memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(out)), child, err
}

func takeMembers(d arrow.ArrayData, rows []int) ([]arrow.ArrayData, error) {
	if d.Offset() != 0 {
		shifted := make([]int, len(rows))
		for i, r := range rows {
			shifted[i] = r
			if r >= 0 {
				shifted[i] += d.Offset()
			}
		}
		rows = shifted
	}
	children := make([]arrow.ArrayData, len(d.Children()))
	for i, c := range d.Children() {
		var err error
		if children[i], err = takeData(c, rows); err != nil {
			return nil, err
		}
	}
	return children, nil
}
