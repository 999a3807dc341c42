package columnar

import "fmt"

// advanceNested moves over n rows of a leaf within lists, where a row may have any number of entries. A row ends where
// the next begins, which may be on a later page.
func (l *leaf) advanceNested(n int, collect bool) error {
	started := 0
	for {
		if l.left == 0 {
			if more, err := l.moreEntries(started == n); !more || err != nil {
				return err
			}
		}
		k := 0
		for ; k < l.left; k++ {
			if l.reps[k] == 0 {
				if started == n {
					break
				}
				started++
			} else if started == 0 {
				return corruptf("column %q has a row that begins in the middle of a list", l.node.path())
			}
		}
		if err := l.entries(k, collect); err != nil {
			return fmt.Errorf("column %q: %w", l.node.path(), err)
		}
		if l.left > 0 {
			return nil
		}
	}
}

// moreEntries starts the next page. With complete rows it is fine if there is none; pages that an index names begin
// with a row, so then there is no need to look.
func (l *leaf) moreEntries(complete bool) (bool, error) {
	if complete && (l.pages.index != nil || l.pages.done()) {
		return false, nil
	}
	_, err := l.nextPage(0, true)
	return err == nil, err
}

// entries moves over the next k entries of the page.
func (l *leaf) entries(k int, collect bool) error {
	if k == 0 {
		return nil
	}
	defs, reps := l.levels[:k], l.reps[:k]
	l.levels, l.reps = l.levels[k:], l.reps[k:]
	l.left -= k
	if collect && l.keep {
		l.keptDefs = append(l.keptDefs, defs...)
		l.keptReps = append(l.keptReps, reps...)
	}
	slots := defs[:0] // over what was already read
	for _, d := range defs {
		if d >= l.node.slotDef {
			slots = append(slots, d)
		}
	}
	return l.mixed(slots, collect)
}

// lists makes the offsets of a list from the levels of a leaf below it. The list's repeated node has the given levels;
// a list is there (perhaps empty) from level def on, and has a slot of its own from level slotDef on.
func (l *leaf) lists(repeated *node, def, slotDef uint8) (offsets []int32, valid []bool, nulls int, err error) {
	elements := int32(0)
	for i, d := range l.keptDefs {
		switch r := l.keptReps[i]; {
		case r < repeated.rep:
			if d < slotDef {
				continue
			}
			offsets = append(offsets, elements)
			valid = append(valid, d >= def)
			if d < def {
				nulls++
			}
			if d >= repeated.def {
				elements++
			}
		case r == repeated.rep:
			if d < repeated.def || len(offsets) == 0 {
				return nil, nil, 0, corruptf("column %q continues a list that is empty", l.node.path())
			}
			elements++
		}
		if elements < 0 {
			return nil, nil, 0, tooLarge(len(offsets))
		}
	}
	return append(offsets, elements), valid, nulls, nil
}

// present makes the validity of a struct from the levels of a leaf below it.
func (l *leaf) present(n *node) (valid []bool, nulls int) {
	valid = make([]bool, 0, len(l.keptDefs))
	for i, d := range l.keptDefs {
		if d < n.slotDef || l.nested() && l.keptReps[i] > n.rep {
			continue
		}
		valid = append(valid, d >= n.def)
		if d < n.def {
			nulls++
		}
	}
	return valid, nulls
}
