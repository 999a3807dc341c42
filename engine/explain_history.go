package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"
)

// readHistory reads every row that the parents have of the samples that were asked for.
func (e *explainer) readHistory(ctx context.Context) error {
	e.past, e.pastOf = make([]*table, len(e.tables)), make([][][]uint32, len(e.tables))
	for s := range e.plan.sources {
		e.past[s] = newTable(nil)
		e.pastOf[s] = make([][]uint32, len(e.tuples))
		if e.plan.sources[s].scan.aggregation != nil {
			e.keepGroups(s)
			continue
		}
		if e.plan.sources[s].scan.snap == nil {
			continue
		}
		if err := e.readPast(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// keepGroups takes the present groups of an aggregated source for its past: which rows a group had is not looked into.
func (e *explainer) keepGroups(source int) {
	e.past[source] = e.tables[source]
	for i, tuple := range e.tuples {
		if tuple != nil && tuple[source] != none {
			e.pastOf[source][i] = []uint32{tuple[source]}
		}
	}
}

// readPast reads a source's rows of the asked samples: those with the ids of the row that the sample has of the
// source or, where an optional parent has none, those with the sample's join key.
func (e *explainer) readPast(ctx context.Context, source int) error {
	wanted := make(map[uint32][]uint32) // the source's entries, and the asked samples that have them
	var absent []uint32                 // the expected samples that have none
	for i, tuple := range e.tuples {
		switch {
		case tuple == nil:
		case tuple[source] == none:
			absent = append(absent, uint32(i))
		default:
			wanted[tuple[source]] = append(wanted[tuple[source]], uint32(i))
		}
	}
	if len(wanted)+len(absent) == 0 {
		return nil
	}
	asked, columns := e.joinColumns(source)
	byJoin := &lookup{table: e.asked, columns: asked}
	scan, t, past := e.plan.sources[source].scan, e.tables[source], e.past[source]
	scan.version = ""
	for b, err := range scan.snap.Scan(ctx, scan.query()) {
		if err != nil {
			return fmt.Errorf("read table %q: %w", scan.key, err)
		}
		c, err := scan.prepare(b)
		if err != nil {
			return fmt.Errorf("read table %q: %w", scan.key, err)
		}
		ids, join := pickColumns(c.keys, t.ids), pickColumns(c.keys, columns)
		e.addPast(source, c, int(b.NumRows()), func(i int) []uint32 {
			return slices.Concat(wanted[t.entryOf(ids, i)], byJoin.amongst(absent, join, i))
		})
	}
	for _, entries := range e.pastOf[source] {
		slices.Reverse(entries)
		slices.SortStableFunc(entries, func(a, b uint32) int { return past.compareTimes(b, a) })
	}
	return nil
}

// addPast keeps those of the n rows of a chunk that belong to asked samples.
func (e *explainer) addPast(source int, c chunk, n int, samplesOf func(i int) []uint32) {
	past := e.past[source]
	before := len(past.rows)
	past.chunks = append(past.chunks, c)
	for i := range n {
		for _, sample := range samplesOf(i) {
			e.pastOf[source][sample] = append(e.pastOf[source][sample], uint32(len(past.rows)))
			past.rows = append(past.rows, past.lastChunkRow(i))
		}
	}
	if len(past.rows) == before {
		past.chunks = past.chunks[:len(past.chunks)-1]
	}
}

// joinColumns are the join columns as keys of the asked samples and of a source.
func (e *explainer) joinColumns(source int) (asked, columns []int) {
	for _, j := range e.plan.join {
		for c, k := range e.plan.compare {
			if k.name == j.name {
				asked, columns = append(asked, c), append(columns, j.keyIn(source))
			}
		}
	}
	return asked, columns
}

// amongst returns those of the entries that have the key of row i of the columns.
func (l *lookup) amongst(entries []uint32, keys []keyColumn, i int) []uint32 {
	var out []uint32
	for _, e := range entries {
		if _, null := appendKey(nil, keys, i); !null && l.same(e, keys, i) {
			out = append(out, e)
		}
	}
	return out
}

// entryOf is the entry with the ids of row i of the columns, or none.
func (t *table) entryOf(ids []keyColumn, i int) uint32 {
	key, _ := appendKey(nil, ids, i)
	slot, found := t.index.find(xxh3.Hash(key), func(entry uint32) bool { return t.hasIDs(entry, ids, i) })
	if !found {
		return none
	}
	return t.index.entry(slot)
}

func (t *table) compareTimes(a, b uint32) int {
	pa, pb := t.rows[a], t.rows[b]
	ta, tb := t.chunks[pa.chunk()].time(pa.row()), t.chunks[pb.chunk()].time(pb.row())
	return cmp.Compare(ta, tb)
}
