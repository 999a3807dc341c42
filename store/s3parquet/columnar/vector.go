package columnar

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A vector makes an Arrow array from what the leaves below it have collected.
type vector interface {
	// finish returns an array of n slots.
	finish(n int) (arrow.ArrayData, error)
	// levels is a leaf that keeps the levels of this vector, or nil if it stands for a column that is not there.
	levels() *leaf
}

// leafVector is a scalar column.
type leafVector struct {
	leaf *leaf
	t    arrow.DataType
}

func (v *leafVector) levels() *leaf { return v.leaf }

func (v *leafVector) finish(n int) (arrow.ArrayData, error) {
	if v.leaf.slots != n {
		return nil, corruptf("column %q has %d values where %d were expected", v.leaf.node.path(), v.leaf.slots, n)
	}
	buffers := append([]*memory.Buffer{v.leaf.validity()}, v.leaf.sink.buffers()...)
	return array.NewData(v.t, n, buffers, nil, v.leaf.nulls, 0), nil
}

// nullVector is a column or member that the file does not have.
type nullVector struct{ t arrow.DataType }

func (v nullVector) levels() *leaf { return nil }

func (v nullVector) finish(n int) (arrow.ArrayData, error) {
	return array.MakeArrayOfNull(memory.DefaultAllocator, v.t, n).Data(), nil
}

// structVector is a struct column with the members that were asked for.
type structVector struct {
	node    *node
	t       *arrow.StructType
	members []vector
	shape   *leaf
}

func (v *structVector) levels() *leaf { return v.shape }

func (v *structVector) finish(n int) (arrow.ArrayData, error) {
	buffers, nulls := []*memory.Buffer{nil}, 0
	if v.node.def > 0 {
		var valid []bool
		valid, nulls = v.shape.present(v.node)
		if len(valid) != n {
			return nil, corruptf("column %q has %d values where %d were expected", v.node.path(), len(valid), n)
		}
		buffers[0] = bitmap(valid, nulls)
	}
	children := make([]arrow.ArrayData, len(v.members))
	for i, m := range v.members {
		var err error
		if children[i], err = m.finish(n); err != nil {
			return nil, err
		}
	}
	return array.NewData(v.t, n, buffers, children, nulls, 0), nil
}

// bitmap packs validity; without nulls there is none.
func bitmap(valid []bool, nulls int) *memory.Buffer {
	if nulls == 0 {
		return nil
	}
	bits := make([]byte, bitutil.BytesForBits(int64(len(valid))))
	for i, ok := range valid {
		if ok {
			bitutil.SetBit(bits, i)
		}
	}
	return memory.NewBufferBytes(bits)
}

// listVector is a list column, or a map: a list of keys and values.
type listVector struct {
	t        arrow.DataType
	repeated *node // the node whose repetitions are the elements
	def      uint8 // from this definition level on the list is there
	slotDef  uint8 // from this one on it has a slot
	elements vector
	shape    *leaf
}

func (v *listVector) levels() *leaf { return v.shape }

func (v *listVector) finish(n int) (arrow.ArrayData, error) {
	offsets, valid, nulls, err := v.shape.lists(v.repeated, v.def, v.slotDef)
	if err != nil {
		return nil, err
	}
	if len(valid) != n {
		return nil, corruptf("column %q has %d lists where %d were expected", v.repeated.path(), len(valid), n)
	}
	child, err := v.elements.finish(int(offsets[n]))
	if err != nil {
		return nil, err
	}
	buffers := []*memory.Buffer{bitmap(valid, nulls), memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets))}
	return array.NewData(v.t, n, buffers, []arrow.ArrayData{child}, nulls, 0), nil
}

// entryVector is the keys and values of a map.
type entryVector struct {
	t          arrow.DataType
	path       string
	key, value vector
}

func (v *entryVector) levels() *leaf { return v.key.levels() }

func (v *entryVector) finish(n int) (arrow.ArrayData, error) {
	key, err := v.key.finish(n)
	if err != nil {
		return nil, err
	}
	if key.NullN() > 0 {
		return nil, corruptf("map column %q has a null key", v.path)
	}
	value, err := v.value.finish(n)
	if err != nil {
		return nil, err
	}
	return array.NewData(v.t, n, []*memory.Buffer{nil}, []arrow.ArrayData{key, value}, 0, 0), nil
}
