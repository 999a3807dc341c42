package columnar

import (
	"github.com/apache/arrow-go/v18/arrow"
)

// A binding is the vectors of the columns to read, and the leaves that they need.
type binding struct {
	schema  *arrow.Schema
	columns []vector
	leaves  []*leaf
}

// bind finds the leaves for columns of the given types in a file, and checks that the types agree.
func bind(root *node, schema *arrow.Schema) (*binding, error) {
	b := &binding{schema: schema}
	for _, f := range schema.Fields() {
		v, err := b.column(root.child(f.Name), f.Type)
		if err != nil {
			return nil, err
		}
		b.columns = append(b.columns, v)
	}
	return b, nil
}

// column binds a node that may be missing, or stand for a list by being repeated.
func (b *binding) column(n *node, t arrow.DataType) (vector, error) {
	if n == nil {
		return nullVector{t}, nil
	}
	if !n.repeated() {
		return b.value(n, t)
	}
	list, ok := t.(*arrow.ListType)
	if !ok {
		return nil, mismatch(n, t)
	}
	elements, err := b.value(n, list.Elem())
	if err != nil {
		return nil, err
	}
	return b.list(n, t, n.parent, n.parent.def, elements), nil
}

// value binds a node as what its annotations say, its own repetition aside.
func (b *binding) value(n *node, t arrow.DataType) (vector, error) {
	switch t := t.(type) {
	case *arrow.StructType:
		if n.leaf >= 0 || n.isList() || n.isMap() {
			return nil, mismatch(n, t)
		}
		return b.structure(n, t)
	case *arrow.MapType:
		if n.leaf >= 0 || !n.isMap() {
			return nil, mismatch(n, t)
		}
		return b.mapping(n, t)
	case *arrow.ListType:
		if n.leaf >= 0 || !n.isList() {
			return nil, mismatch(n, t)
		}
		repeated, err := listNode(n)
		if err != nil {
			return nil, err
		}
		var elements vector
		if e := repeated.elementOf(n); e == repeated {
			elements, err = b.value(e, t.Elem())
		} else {
			elements, err = b.column(e, t.Elem())
		}
		if err != nil {
			return nil, err
		}
		return b.list(repeated, t, n, n.def, elements), nil
	}
	if n.leaf < 0 {
		return nil, mismatch(n, t)
	}
	s, err := newSink(n, t)
	if err != nil {
		return nil, err
	}
	l := &leaf{node: n, sink: s}
	b.leaves = append(b.leaves, l)
	return &leafVector{leaf: l, t: t}, nil
}

func (b *binding) structure(n *node, t *arrow.StructType) (vector, error) {
	v := &structVector{node: n, t: t}
	for _, f := range t.Fields() {
		m, err := b.column(n.child(f.Name), f.Type)
		if err != nil {
			return nil, err
		}
		v.members = append(v.members, m)
	}
	v.shape = b.shape(n, v.members)
	return v, nil
}

func (b *binding) mapping(n *node, t *arrow.MapType) (vector, error) {
	keyNode, valueNode, err := mapNodes(n)
	if err != nil {
		return nil, err
	}
	key, err := b.column(keyNode, t.KeyType())
	if err != nil {
		return nil, err
	}
	value, err := b.column(valueNode, t.ItemType())
	if err != nil {
		return nil, err
	}
	entries := &entryVector{t: t.Elem(), path: n.path(), key: key, value: value}
	return b.list(n.children[0], t, n, n.def, entries), nil
}

// list makes the vector of a list that is there from level def on, at the given node.
func (b *binding) list(repeated *node, t arrow.DataType, at *node, def uint8, elements vector) vector {
	return &listVector{
		t: t, repeated: repeated, def: def, slotDef: at.slotDef,
		elements: elements, shape: b.shape(repeated, []vector{elements}),
	}
}

// shape returns a leaf below n that keeps its levels: one that is read anyway, or one of which only levels are read.
func (b *binding) shape(n *node, below []vector) *leaf {
	var best *leaf
	for _, v := range below {
		if l := v.levels(); l != nil && (best == nil || l.node.rep < best.node.rep) {
			best = l
		}
	}
	if best == nil {
		best = &leaf{node: n.firstLeaf()}
		b.leaves = append(b.leaves, best)
	}
	best.keep = true
	return best
}

// finish makes the columns of n rows and starts anew.
func (b *binding) finish(n int) ([]arrow.ArrayData, error) {
	out := make([]arrow.ArrayData, len(b.columns))
	for i, c := range b.columns {
		var err error
		if out[i], err = c.finish(n); err != nil {
			return nil, err
		}
	}
	for _, l := range b.leaves {
		l.reset()
	}
	return out, nil
}
