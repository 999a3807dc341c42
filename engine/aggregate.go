package engine

import (
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// An aggregation says which rows of a source belong together, and in which order their versions are hashed.
type aggregation struct {
	by    []int // of the scan's keys: the group
	order []int // of the scan's keys: the order within a group
}

// Groups are the versions that the rows of a source share: of each group, the hash of its rows' versions for each member.
type groups struct {
	of      []uint32  // the group of each entry; none for an entry that is not live
	blocks  [][]cells // by block of groups, then by member
	count   int
	members int
}

// groupBlock is how many groups share a block, so that the texts of one stay far below what their offsets can count.
const groupBlock = 1 << 16

// text is where the i-th version of an entry's group is.
func (g *groups) text(entry uint32, i int) (*cells, int) {
	n := g.of[entry]
	return &g.blocks[n/groupBlock][i], int(n % groupBlock)
}

// add adds a group with one version for each member and returns its number.
func (g *groups) add(versions [][]byte) uint32 {
	if g.count%groupBlock == 0 {
		block := make([]cells, g.members)
		for i := range block {
			block[i].offsets = []int32{0}
		}
		g.blocks = append(g.blocks, block)
	}
	block := g.blocks[len(g.blocks)-1]
	for i, v := range versions {
		block[i].bytes = append(block[i].bytes, v...)
		block[i].offsets = append(block[i].offsets, int32(len(block[i].bytes)))
	}
	g.count++
	return uint32(g.count - 1)
}

// pick returns the groups of some entries, and nothing of the others. An entry may be none.
func (g *groups) pick(entries []uint32) *groups {
	out := &groups{of: make([]uint32, len(entries)), members: g.members}
	numbers := make(map[uint32]uint32)
	versions := make([][]byte, g.members)
	for i, e := range entries {
		if out.of[i] = none; e == none {
			continue
		}
		n, ok := numbers[g.of[e]]
		if !ok {
			for m := range versions {
				c, row := g.text(e, m)
				versions[m] = c.value(row)
			}
			n = out.add(versions)
			numbers[g.of[e]] = n
		}
		out.of[i] = n
	}
	return out
}

// slice is the part of the entries from one number up to another.
func (g *groups) slice(from, to int) *groups {
	if g == nil {
		return nil
	}
	part := *g
	part.of = g.of[from:to]
	return &part
}

// planAggregation has the columns read that group and order a parent's rows. The order is that of the parent's ids;
// those that the child does not see come last, because Metaxy does not know them. Where it sees none, Metaxy leaves the
// order to chance.
func (s *source) planAggregation(f *feature.Feature, parent feature.Parent) error {
	a := &aggregation{}
	for _, name := range parent.OutputIDs(f) {
		c, ok := s.column(name)
		if !ok {
			return fmt.Errorf("%w: %s has no column %q to group by; there are %q",
				ErrPlan, s.name, name, columnNames(s.columns))
		}
		if classOf(c.typ) == 0 {
			return fmt.Errorf("%w: the column %q of %s is of type %s, by which rows cannot be grouped",
				ErrPlan, name, s.name, c.typ)
		}
		a.by = append(a.by, s.addKey(c.stored))
	}
	ids, renamed := idColumns(parent.Feature), renamedIDs(parent)
	for _, seen := range []bool{true, false} {
		for i, id := range ids {
			if s.has(renamed[i]) == seen {
				a.order = append(a.order, s.addKey(id))
			}
		}
	}
	s.scan.aggregation = a
	return nil
}

// aggregate gives the live entries of a table the versions of their groups.
func (a *aggregation) aggregate(t *table, members int, h Hashing) {
	of, count := a.number(t)
	sorted, ends := byGroup(of, count)
	out := &groups{of: of, members: members}
	versions := make([][]byte, members)
	var input []byte
	start := uint32(0)
	for _, end := range ends {
		entries := sorted[start:end]
		start = end
		slices.SortFunc(entries, func(x, y uint32) int { return a.compare(t, x, y) })
		for m := range versions {
			input = input[:0]
			for _, e := range entries {
				input = appendMember(input, t, e, m)
			}
			if len(input) > 0 {
				input = input[:len(input)-1] // the last separator
			}
			versions[m] = h.Append(versions[m][:0], input)
		}
		out.add(versions)
	}
	t.groups = out
}

// appendMember adds a version and a separator, but nothing for a null.
func appendMember(dst []byte, t *table, entry uint32, member int) []byte {
	c, row := t.text(entry, member)
	if c.isNull(row) {
		return dst
	}
	return append(c.appendText(dst, row), '|')
}

// number returns the group of each entry and how many groups there are. Null is a group like any other value.
func (a *aggregation) number(t *table) (of []uint32, count int) {
	of = make([]uint32, len(t.rows))
	index := newIndex(0)
	var first []uint32 // an entry of each group
	var key []byte
	picked := make([][]keyColumn, len(t.chunks))
	for i, c := range t.chunks {
		picked[i] = pickColumns(c.keys, a.by)
	}
	for e, p := range t.rows {
		if of[e] = none; !p.live() {
			continue
		}
		keys := picked[p.chunk()]
		key, _ = appendKey(key[:0], keys, p.row())
		hash := xxh3.Hash(key)
		slot, found := index.find(hash, func(g uint32) bool {
			o := t.rows[first[g]]
			return sameKey(keys, p.row(), picked[o.chunk()], o.row())
		})
		if !found {
			index.set(slot, hash, uint32(len(first)))
			of[e] = uint32(len(first))
			first = append(first, uint32(e))
			continue
		}
		of[e] = index.entry(slot)
	}
	return of, len(first)
}

// byGroup lists the entries group by group, and where each group ends.
func byGroup(of []uint32, count int) (sorted, ends []uint32) {
	ends = make([]uint32, count+1)
	for _, g := range of {
		if g != none {
			ends[g+1]++
		}
	}
	for g := range count {
		ends[g+1] += ends[g]
	}
	sorted = make([]uint32, ends[count])
	for e, g := range of {
		if g != none {
			sorted[ends[g]] = uint32(e)
			ends[g]++
		}
	}
	return sorted, ends[:count]
}

// compare orders two entries of one group.
func (a *aggregation) compare(t *table, x, y uint32) int {
	px, py := t.rows[x], t.rows[y]
	kx, ky := t.chunks[px.chunk()].keys, t.chunks[py.chunk()].keys
	for _, k := range a.order {
		if c := kx[k].compareCell(px.row(), &ky[k], py.row()); c != 0 {
			return c
		}
	}
	return 0
}
