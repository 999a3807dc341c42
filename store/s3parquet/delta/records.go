package delta

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// A recordReader turns the rows of a Parquet file into nested maps, for files whose exact columns nobody knows before:
// the checkpoints of other writers. It follows the levels of the Dremel encoding. A group becomes a
// map[string]any, a LIST an []any, a MAP a map[string]any by its keys; what is null is nil
// or, in a group, not there.
type recordReader struct {
	root *recordNode
	cols [][]parquet.Value // of the current row, by leaf: what is not consumed yet
}

func newRecordReader(schema *parquet.Schema) *recordReader {
	root := newRecordNode("", schema)
	return &recordReader{root: root, cols: make([][]parquet.Value, root.leaves)}
}

// A recordNode is a node of the schema, with what the library would work out each time.
type recordNode struct {
	name               string
	optional, repeated bool
	leaf               bool
	kind               parquet.Kind // of a leaf
	members            []*recordNode
	leaves             int // below it, or 1
}

func newRecordNode(name string, n parquet.Node) *recordNode {
	r := &recordNode{name: name, optional: n.Optional(), repeated: n.Repeated(), leaf: n.Leaf()}
	if r.leaf {
		r.kind, r.leaves = n.Type().Kind(), 1
		return r
	}
	for _, f := range n.Fields() {
		m := newRecordNode(f.Name(), f)
		r.members, r.leaves = append(r.members, m), r.leaves+m.leaves
	}
	return r
}

// readRecords calls fn for each row of a file.
func readRecords(f *parquet.File, fn func(record map[string]any) error) error {
	r := newRecordReader(f.Schema())
	buffer := make([]parquet.Row, 64)
	for _, group := range f.RowGroups() {
		rows := group.Rows()
		for {
			n, err := rows.ReadRows(buffer)
			for _, row := range buffer[:n] {
				record, err := r.record(row)
				if err == nil {
					err = fn(record)
				}
				if err != nil {
					_ = rows.Close()
					return err
				}
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				_ = rows.Close()
				return err
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (r *recordReader) record(row parquet.Row) (map[string]any, error) {
	row.Range(func(column int, values []parquet.Value) bool {
		if column < len(r.cols) {
			r.cols[column] = values
		}
		return true
	})
	value, err := r.group(r.root, 0, 0, 0)
	if err != nil {
		return nil, err
	}
	return value.(map[string]any), nil
}

// value reads a node whose first leaf has the given number; def and rep are the levels of its parent.
func (r *recordReader) value(n *recordNode, leaf, def, rep int) (any, error) {
	switch {
	case n.repeated:
		return r.repeated(n, leaf, def+1, rep+1)
	case n.optional:
		def++
		if len(r.cols[leaf]) == 0 || r.cols[leaf][0].DefinitionLevel() < def {
			return nil, r.skip(n, leaf)
		}
	}
	return r.present(n, leaf, def, rep)
}

func (r *recordReader) present(n *recordNode, leaf, def, rep int) (any, error) {
	if n.leaf {
		return r.leaf(n, leaf)
	}
	return r.group(n, leaf, def, rep)
}

// repeated reads the elements of a repeated node; an element begins at the repetition level rep.
func (r *recordReader) repeated(n *recordNode, leaf, def, rep int) (any, error) {
	if len(r.cols[leaf]) == 0 || r.cols[leaf][0].DefinitionLevel() < def {
		return []any(nil), r.skip(n, leaf)
	}
	var list []any
	for {
		v, err := r.present(n, leaf, def, rep)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if len(r.cols[leaf]) == 0 || r.cols[leaf][0].RepetitionLevel() != rep {
			return list, nil
		}
	}
}

func (r *recordReader) group(n *recordNode, leaf, def, rep int) (any, error) {
	members := make(map[string]any, 8)
	for _, f := range n.members {
		v, err := r.value(f, leaf, def, rep)
		if err != nil {
			return nil, err
		}
		if v != nil {
			members[f.name] = v
		}
		leaf += f.leaves
	}
	if len(n.members) == 1 && n.members[0].repeated {
		return unwrapList(n.members[0], members), nil
	}
	return members, nil
}

// unwrapList turns the two outer groups of a LIST or MAP into a list or a map. Writers name them in several ways, so
// the shape decides: a group whose only member is repeated.
func unwrapList(inner *recordNode, members map[string]any) any {
	var elements []any
	for _, m := range members {
		elements, _ = m.([]any)
	}
	if inner.leaf {
		return elements
	}
	names := make([]string, 0, 2)
	for _, f := range inner.members {
		names = append(names, f.name)
	}
	if len(names) == 2 && names[0] == "key" && names[1] == "value" {
		out := make(map[string]any, len(elements))
		for _, e := range elements {
			pair := e.(map[string]any)
			if key, ok := pair["key"].(string); ok {
				out[key] = pair["value"]
			}
		}
		return out
	}
	if len(names) == 1 {
		for i, e := range elements {
			elements[i] = e.(map[string]any)[names[0]]
		}
	}
	return elements
}

// skip consumes the one entry that each leaf of a missing node has.
func (r *recordReader) skip(n *recordNode, leaf int) error {
	for i := leaf; i < leaf+n.leaves; i++ {
		if len(r.cols[i]) == 0 {
			return fmt.Errorf("column %d ends early", i)
		}
		r.cols[i] = r.cols[i][1:]
	}
	return nil
}

func (r *recordReader) leaf(n *recordNode, leaf int) (any, error) {
	if len(r.cols[leaf]) == 0 {
		return nil, fmt.Errorf("column %d ends early", leaf)
	}
	v := r.cols[leaf][0]
	r.cols[leaf] = r.cols[leaf][1:]
	switch n.kind {
	case parquet.Boolean:
		return v.Boolean(), nil
	case parquet.Int32:
		return int64(v.Int32()), nil
	case parquet.Int64:
		return v.Int64(), nil
	case parquet.ByteArray:
		return string(v.ByteArray()), nil
	}
	return nil, nil // no action has members of other types; statistics in columns of their own do
}
