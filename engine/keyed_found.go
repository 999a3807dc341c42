package engine

import (
	"math"
	"math/bits"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// noOrdinal stands for no row.
const noOrdinal = ^uint64(0)

// A keyedPart is the expected samples of one status: marks on the rows of the first table, each of which makes at most one
// sample, and the samples that have no row of it, as the numbers of one row of each table.
type keyedPart struct {
	marks    *rowMarks
	partners *partners
	others   []uint64
}

// partners are, for each row of the first table, the rows of the other tables that make a sample with it.
type partners struct {
	others int // how many tables
	small  []uint32
	large  []uint64 // in place of small for tables of more than 4 billion rows
}

func newPartners(tables []*keyedTable) *partners {
	p := &partners{others: len(tables) - 1}
	n, most := tables[0].count*uint64(p.others), uint64(0)
	for _, t := range tables[1:] {
		most = max(most, t.count)
	}
	if most < math.MaxUint32 {
		p.small = make([]uint32, n)
	} else {
		p.large = make([]uint64, n)
	}
	return p
}

// set notes a sample's rows. No two goroutines may do so for one row of the first table.
func (p *partners) set(tuple []uint64) {
	at := tuple[0] * uint64(p.others)
	for i, ordinal := range tuple[1:] { // noOrdinal becomes 0
		if p.small != nil {
			p.small[at+uint64(i)] = uint32(ordinal + 1)
		} else if p.large != nil {
			p.large[at+uint64(i)] = ordinal + 1
		}
	}
}

// of returns the row of one of the other tables, or noOrdinal.
func (p *partners) of(first uint64, other int) uint64 {
	at := first*uint64(p.others) + uint64(other)
	if p.small != nil {
		return uint64(p.small[at]) - 1
	}
	return p.large[at] - 1
}

// A partWriter is what one decider adds samples to a part with.
type partWriter struct {
	to     *keyedPart
	marks  markWriter
	others []uint64
}

func (p *keyedPart) writer() partWriter { return partWriter{to: p, marks: markWriter{to: p.marks}} }

// add adds a sample.
func (w *partWriter) add(tuple []uint64) {
	if tuple[0] == noOrdinal {
		w.others = append(w.others, tuple...)
		return
	}
	w.marks.set(tuple[0])
	w.to.partners.set(tuple)
}

// finish hands over what was added. Others must not do so at the same time.
func (w *partWriter) finish() {
	w.marks.flush()
	w.to.others = append(w.to.others, w.others...)
}

// rows returns where the samples' rows are: in the order of the first table's, then those that have none of it.
func (p *keyedPart) rows(k *keyed) partRows {
	out := &keyedRows{marked: p.marks.rows(k.tables[0]), partners: p.partners, sources: len(k.plan.sources)}
	for t, source := range k.plan.order {
		out.tables = append(out.tables, &keyedTable{source: source, spans: k.tables[t].spans}) // without what is no longer needed
	}
	width := len(out.tables)
	for at := 0; at < len(p.others); at += width {
		out.others = append(out.others, p.others[at:at+width])
	}
	slices.SortFunc(out.others, slices.Compare)
	return out
}

// keyedRows are the rows of the samples of a part.
type keyedRows struct {
	tables   []*keyedTable // in the order of the join
	sources  int
	marked   markedRows // of the first table
	partners *partners
	others   [][]uint64 // a tuple for each sample that has no row of the first table
}

func (r *keyedRows) count() int { return r.marked.n + len(r.others) }

func (r *keyedRows) slice(from, to int) rowSet {
	out := rowSet{refs: make([][]store.RowRef, r.sources)}
	for s := range out.refs {
		out.refs[s] = slices.Repeat([]store.RowRef{noRef}, to-from)
	}
	marked := r.marked.ordinals(min(from, r.marked.n), min(to, r.marked.n))
	for t, table := range r.tables {
		refs, place := out.refs[table.source], placer{keyedTable: table}
		put := func(i int, ordinal uint64) {
			if ordinal != noOrdinal {
				refs[i] = place.ref(ordinal)
			}
		}
		for i, first := range marked {
			if t == 0 {
				put(i, first)
			} else {
				put(i, r.partners.of(first, t-1))
			}
		}
		for i := len(marked); i < to-from; i++ {
			put(i, r.others[from+i-r.marked.n][t])
		}
	}
	return out
}

// rowMarks mark rows of a table by their numbers.
type rowMarks struct{ bits []uint64 }

func newRowMarks(rows uint64) *rowMarks { return &rowMarks{bits: make([]uint64, (rows+63)/64)} }

// set marks a row.
func (m *rowMarks) set(ordinal uint64) { m.bits[ordinal/64] |= 1 << (ordinal % 64) }

// A markWriter marks rows, with less work where they come one after the other.
type markWriter struct {
	to   *rowMarks
	at   uint64 // the word at hand
	bits uint64 // that are to be set in it
}

func (w *markWriter) set(ordinal uint64) {
	if ordinal/64 != w.at {
		w.flush()
		w.at = ordinal / 64
	}
	w.bits |= 1 << (ordinal % 64)
}

// flush makes the marks known; several writers may do so at once.
func (w *markWriter) flush() {
	if w.bits != 0 {
		atomic.OrUint64(&w.to.bits[w.at], w.bits)
	}
	w.bits = 0
}

// rows are the marked rows of the table, in ascending order.
func (m *rowMarks) rows(t *keyedTable) markedRows {
	r := markedRows{table: &keyedTable{spans: t.spans}, bits: m.bits}
	n := 0
	for i, word := range m.bits {
		if i%rankWords == 0 {
			r.ranks = append(r.ranks, n)
		}
		n += bits.OnesCount64(word)
	}
	r.n = n
	return r
}

// rankWords is for how many words of marks it is known how many marks come before them.
const rankWords = 512

// markedRows are rows of one table.
type markedRows struct {
	table *keyedTable
	bits  []uint64
	ranks []int // how many marks come before each rankWords words
	n     int
}

func (r markedRows) count() int { return r.n }

// ordinals are the marked rows from one up to another.
func (r markedRows) ordinals(from, to int) []uint64 {
	out := make([]uint64, 0, to-from)
	if from == to {
		return out
	}
	block := sort.SearchInts(r.ranks, from+1) - 1
	skip := from - r.ranks[block]
	for i := block * rankWords; len(out) < to-from; i++ {
		word := r.bits[i]
		if n := bits.OnesCount64(word); skip >= n {
			skip -= n
			continue
		}
		for ; word != 0 && len(out) < to-from; word &= word - 1 {
			if skip > 0 {
				skip--
				continue
			}
			out = append(out, uint64(64*i+bits.TrailingZeros64(word)))
		}
	}
	return out
}

func (r markedRows) slice(from, to int) rowSet {
	refs, place := make([]store.RowRef, 0, to-from), placer{keyedTable: r.table}
	for _, ordinal := range r.ordinals(from, to) {
		refs = append(refs, place.ref(ordinal))
	}
	return rowSet{refs: [][]store.RowRef{refs}}
}

// A placer is a table that is asked where rows are of which most lie near each other.
type placer struct {
	*keyedTable
	span int // of the last row
}

func (p *placer) ref(ordinal uint64) store.RowRef {
	s := p.spans
	if s[p.span].first > ordinal || p.span+1 < len(s) && s[p.span+1].first <= ordinal {
		p.span = p.spanOf(ordinal)
	}
	return s[p.span].at(ordinal)
}
