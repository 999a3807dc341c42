package columnar

import (
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// maxNodeDepth bounds how deeply columns nest, and with it the levels, which have to fit a byte.
const maxNodeDepth = 100

// A node is an element of a file's schema.
type node struct {
	elem     *format.SchemaElement
	parent   *node
	children []*node
	leaf     int // the position among the leaves; -1 for a group
	// def and rep are the levels that an entry has at least when this node is there.
	def, rep uint8
	// slotDef is the definition level from which on there is an element of the innermost list around (or at) this
	// node; entries below it stand for empty or missing lists.
	slotDef uint8
}

func (n *node) repeated() bool { return n.elem.RepetitionType.V == format.Repeated }

func (n *node) path() string {
	var parts []string
	for ; n.parent != nil; n = n.parent {
		parts = append(parts, n.elem.Name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, ".")
}

// child returns the first child of that name, or nil.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.elem.Name == name {
			return c
		}
	}
	return nil
}

// firstLeaf is the node or the first leaf below it.
func (n *node) firstLeaf() *node {
	for n.leaf < 0 {
		n = n.children[0]
	}
	return n
}

func (n *node) isList() bool {
	if _, ok := n.elem.LogicalType.Value.(*format.ListType); ok {
		return true
	}
	return n.elem.ConvertedType.Valid && n.elem.ConvertedType.V == deprecated.List
}

func (n *node) isMap() bool {
	if _, ok := n.elem.LogicalType.Value.(*format.MapType); ok {
		return true
	}
	c := n.elem.ConvertedType
	return c.Valid && (c.V == deprecated.Map || c.V == deprecated.MapKeyValue && n.parent != nil && !n.parent.isMap())
}

// elementOf returns the element of the list whose repeated node this is, by the format's rules for old writers. The
// element is either the repeated node itself or its only child.
func (n *node) elementOf(list *node) *node {
	if n.leaf >= 0 || len(n.children) != 1 || n.children[0].repeated() {
		return n
	}
	if n.elem.Name == "array" || n.elem.Name == list.elem.Name+"_tuple" {
		return n
	}
	return n.children[0]
}

// schemaTree builds the tree of the flattened schema and checks it.
func schemaTree(elems []format.SchemaElement) (root *node, leaves []*node, err error) {
	if len(elems) == 0 || elems[0].Type.Valid {
		return nil, nil, corruptf("schema has no root")
	}
	b := treeBuilder{elems: elems}
	root, err = b.build(nil, 0)
	if err == nil && b.next != len(elems) {
		err = corruptf("schema has %d elements outside of its root", len(elems)-b.next)
	}
	return root, b.leaves, err
}

type treeBuilder struct {
	elems  []format.SchemaElement
	next   int
	leaves []*node
}

func (b *treeBuilder) build(parent *node, depth int) (*node, error) {
	if b.next >= len(b.elems) || depth > maxNodeDepth {
		return nil, corruptf("schema claims more elements than it has, or nests too deeply")
	}
	n := &node{elem: &b.elems[b.next], parent: parent, leaf: -1}
	b.next++
	if parent != nil {
		n.def, n.rep, n.slotDef = parent.def, parent.rep, parent.slotDef
		switch r := n.elem.RepetitionType; {
		case !r.Valid || r.V < format.Required || r.V > format.Repeated:
			return nil, corruptf("column %q is neither required nor optional nor repeated", n.path())
		case r.V == format.Optional:
			n.def++
		case r.V == format.Repeated:
			n.def++
			n.rep++
			n.slotDef = n.def
		}
	}
	if n.elem.Type.Valid {
		return n, b.addLeaf(n)
	}
	count := int(n.elem.NumChildren.V)
	if count < 0 || count > len(b.elems)-b.next || count == 0 && parent != nil {
		return nil, corruptf("column %q claims %d members", n.path(), count)
	}
	for range count {
		c, err := b.build(n, depth+1)
		if err != nil {
			return nil, err
		}
		n.children = append(n.children, c)
	}
	return n, nil
}

func (b *treeBuilder) addLeaf(n *node) error {
	switch t := n.elem.Type.V; {
	case t < format.Boolean || t > format.FixedLenByteArray:
		return corruptf("column %q has unknown type %d", n.path(), t)
	case t == format.FixedLenByteArray && (n.elem.TypeLength.V <= 0 || n.elem.TypeLength.V > 1<<20):
		return corruptf("column %q has values of %d bytes", n.path(), n.elem.TypeLength.V)
	case n.elem.NumChildren.V > 0:
		return corruptf("column %q has a type and members", n.path())
	}
	n.leaf = len(b.leaves)
	b.leaves = append(b.leaves, n)
	return nil
}
