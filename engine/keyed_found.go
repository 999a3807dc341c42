package engine

import (
	"math/bits"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A keyedPart is the expected samples of one status: marks on the rows of the table that alone makes them, or tuples of
// row numbers.
type keyedPart struct {
	marks  *rowMarks // nil where several tables make a sample
	tuples tuples64
}

// tuples64 are row numbers, as many for each sample as there are tables that make it.
type tuples64 []uint64

// noOrdinal stands for no row.
const noOrdinal = ^uint64(0)

func newKeyedPart(k *keyed) *keyedPart {
	if k.single() {
		return &keyedPart{marks: newRowMarks(k.tables[0].count)}
	}
	return &keyedPart{}
}

// A partWriter is what one decider adds samples to a part with.
type partWriter struct {
	to     *keyedPart
	marks  markWriter
	tuples tuples64
}

func (p *keyedPart) writer() partWriter { return partWriter{to: p, marks: markWriter{to: p.marks}} }

// add adds a sample.
func (w *partWriter) add(tuple []uint64) {
	if w.to.marks != nil {
		w.marks.set(tuple[0])
		return
	}
	w.tuples = append(w.tuples, tuple...)
}

// finish hands over what was added. Others must not do so at the same time.
func (w *partWriter) finish() {
	w.marks.flush()
	w.to.tuples = append(w.to.tuples, w.tuples...)
}

// rows returns where the samples' rows are, in the order of the first table's.
func (p *keyedPart) rows(k *keyed) partRows {
	width := len(k.plan.order)
	refs := make([][]store.RowRef, len(k.plan.sources))
	if p.marks != nil {
		return &sourceMarks{markedRows: p.marks.rows(k.tables[0]), source: k.plan.order[0], sources: len(refs)}
	}
	order := p.tuples.order(width, k.tables[0].count)
	for s := range refs {
		refs[s] = slices.Repeat([]store.RowRef{noRef}, len(order))
	}
	for t, source := range k.plan.order {
		for i, at := range order {
			if ordinal := p.tuples[at+t]; ordinal != noOrdinal {
				refs[source][i] = k.tables[t].ref(ordinal)
			}
		}
	}
	return rowSet{refs: refs}
}

// order returns where each tuple begins, in the order of the tuples. The rows of the first table, of which there are so many,
// are in one tuple each, so that marks on them tell the place of a tuple. Those that have none come last.
func (t tuples64) order(width int, rows uint64) []int {
	marks, marked := newRowMarks(rows), 0
	var last []int
	for at := 0; at < len(t); at += width {
		if t[at] == noOrdinal {
			last = append(last, at)
			continue
		}
		marks.set(t[at])
		marked++
	}
	slices.SortFunc(last, func(a, b int) int { return slices.Compare(t[a:a+width], t[b:b+width]) })
	order, before := make([]int, marked, len(t)/width), make([]int, len(marks.bits))
	n := 0
	for i, word := range marks.bits {
		before[i] = n
		n += bits.OnesCount64(word)
	}
	for at := 0; at < len(t); at += width {
		if row := t[at]; row != noOrdinal {
			order[before[row/64]+bits.OnesCount64(marks.bits[row/64]&(1<<(row%64)-1))] = at
		}
	}
	return append(order, last...)
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

// refs are where the marked rows from one number up to another are.
func (r markedRows) refs(from, to int) []store.RowRef {
	out := make([]store.RowRef, 0, to-from)
	if from == to {
		return out
	}
	block := sort.SearchInts(r.ranks, from+1) - 1
	skip := from - r.ranks[block]
	spans := r.table.spans
	span := max(0, sort.Search(len(spans), func(i int) bool { return spans[i].first > uint64(64*rankWords*block) })-1)
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
			ordinal := uint64(64*i + bits.TrailingZeros64(word))
			for span+1 < len(spans) && spans[span+1].first <= ordinal {
				span++
			}
			out = append(out, spans[span].ref+store.RowRef(ordinal-spans[span].first))
		}
	}
	return out
}

func (r markedRows) slice(from, to int) rowSet {
	return rowSet{refs: [][]store.RowRef{r.refs(from, to)}}
}

// sourceMarks are marked rows of one of several sources, of which the others give nothing.
type sourceMarks struct {
	markedRows
	source, sources int
}

func (r *sourceMarks) slice(from, to int) rowSet {
	out := rowSet{refs: make([][]store.RowRef, r.sources)}
	for s := range out.refs {
		if s == r.source {
			out.refs[s] = r.refs(from, to)
		} else {
			out.refs[s] = slices.Repeat([]store.RowRef{noRef}, to-from)
		}
	}
	return out
}
