package columnar

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// Entries are what is written of an array: for each entry its levels, and its position in the array or -1 if it stands
// for something missing further out.
type entries struct {
	n   int
	def uint8 // of all entries when defs is nil; then entry i is value i, and begins a row
	// Of each entry:
	defs, reps []uint8
	at         []int32
}

// allPresent is the entries of the rows of a top-level column.
func allPresent(n int) entries { return entries{n: n} }

// spell writes the entries out.
func (e entries) spell() entries {
	if e.defs != nil {
		return e
	}
	e.defs, e.reps, e.at = make([]uint8, e.n), make([]uint8, e.n), make([]int32, e.n)
	for i := range e.n {
		e.defs[i], e.at[i] = e.def, int32(i)
	}
	return e
}

// optional returns the entries for what lies within an optional array.
func (e entries) optional(a arrow.Array) entries {
	if e.defs == nil && a.NullN() == 0 {
		e.def++
		return e
	}
	in := e.spell()
	out := entries{n: in.n, defs: make([]uint8, in.n), reps: in.reps, at: make([]int32, in.n)}
	for i, at := range in.at {
		out.defs[i], out.at[i] = in.defs[i], -1
		if at >= 0 && a.IsValid(int(at)) {
			out.defs[i], out.at[i] = in.defs[i]+1, at
		}
	}
	return out
}

// elements returns the entries for the elements of lists, which repeat at level rep.
func (e entries) elements(offsets func(i int) (start, end int64), rep uint8) entries {
	in := e.spell()
	out := entries{defs: []uint8{}}
	for i, at := range in.at {
		start, end := int64(0), int64(0)
		if at >= 0 {
			start, end = offsets(int(at))
		}
		if start == end {
			out.defs, out.reps, out.at = append(out.defs, in.defs[i]), append(out.reps, in.reps[i]), append(out.at, -1)
			continue
		}
		for j := start; j < end; j++ {
			r := rep
			if j == start {
				r = in.reps[i]
			}
			out.defs, out.reps, out.at = append(out.defs, in.defs[i]+1), append(out.reps, r), append(out.at, int32(j))
		}
	}
	out.n = len(out.defs)
	return out
}

// A shredder takes an array apart into the leaf columns below it.
type shredder interface {
	shred(a arrow.Array, e entries) error
}

// leafShredder writes a scalar column.
type leafShredder struct {
	leaf     *leafWriter
	required bool
}

func (s leafShredder) shred(a arrow.Array, e entries) error {
	if !s.required {
		e = e.optional(a)
	} else if a.NullN() > 0 {
		return fmt.Errorf("%s has a null", joinPath(s.leaf.path))
	}
	return s.leaf.append(a, e)
}

type structShredder struct{ members []shredder }

func (s structShredder) shred(a arrow.Array, e entries) error {
	st := a.(*array.Struct)
	e = e.optional(a)
	for i, m := range s.members {
		if err := m.shred(st.Field(i), e); err != nil {
			return err
		}
	}
	return nil
}

type listShredder struct {
	element shredder
	rep     uint8
}

func (s listShredder) shred(a arrow.Array, e entries) error {
	l := a.(*array.List)
	return s.element.shred(l.ListValues(), e.optional(a).elements(l.ValueOffsets, s.rep))
}

type mapShredder struct {
	key, value shredder
	rep        uint8
}

func (s mapShredder) shred(a arrow.Array, e entries) error {
	m := a.(*array.Map)
	e = e.optional(a).elements(m.ValueOffsets, s.rep)
	if err := s.key.shred(m.Keys(), e); err != nil {
		return err
	}
	return s.value.shred(m.Items(), e)
}
