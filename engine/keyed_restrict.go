package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A restriction leaves a resolve only those samples about which something can have changed since it was recorded that
// nothing was left to do: the ones of which a parent's new files have a row. About every other sample all tables say what
// they said then.
type restriction struct {
	keys   map[xxh3.Uint128]struct{}
	within *store.Within // what is known of the values of one key column; nil for nothing
	column int           // which one, of the join
	rows   int64         // in the new files
}

const (
	// maxRestricted is of how many rows the keys are kept. More are no little change.
	maxRestricted = 4 << 20
	// restrictedShare is which part of the parents' rows may be new, or the detour does not pay.
	restrictedShare = 8
	// maxRanges bounds how finely the values are told apart where pages are left out.
	maxRanges = 1 << 16
)

// restrict reads the keys of the given files of the parents, by source. It returns nil if that does not help: if there is
// a key that cannot be looked for, or more rows than the limit.
func (k *keyed) restrict(ctx context.Context, files [][]int, limit int64) (*restriction, error) {
	r := &restriction{keys: map[xxh3.Uint128]struct{}{}, column: k.rangeColumn()}
	var values []string
	for _, t := range k.tables {
		if t == k.target || len(files[t.source]) == 0 {
			continue
		}
		q := t.scan.query()
		q.Columns, q.Members, q.Files = pickNames(t.scan.keys, t.keys), nil, files[t.source]
		for b, err := range t.scan.snap.Scan(ctx, q) {
			if err != nil {
				return nil, fmt.Errorf("read table %q: %w", t.scan.key, err)
			}
			if r.rows += b.NumRows(); r.rows > limit {
				return nil, nil
			}
			columns, err := keyColumns(b.RecordBatch, q.Columns)
			if err != nil {
				return nil, fmt.Errorf("read table %q: %w", t.scan.key, err)
			}
			if !k.hashInto(r.keys, columns, int(b.NumRows())) {
				return nil, nil // a key with a null is not found by its values
			}
			for row := range int(b.NumRows()) {
				if v, ok := store.OrderedValue(b.Column(r.column), row); ok {
					values = append(values, v)
				}
			}
		}
	}
	if len(values) > 0 || r.rows == 0 {
		r.within = &store.Within{Ranges: rangesOf(values)}
	}
	return r, nil
}

// restrictable is how many rows may be new for a restriction to pay.
func (p *plan) restrictable() int64 { return min(maxRestricted, p.examinedRows()/restrictedShare) }

// rangeColumn is the key column by whose values pages are left out: the one by which files are sorted first.
func (k *keyed) rangeColumn() int {
	ids := idColumns(k.plan.feature)
	return max(0, slices.Index(frameNames(k.plan.join), ids[0]))
}

func pickNames(names []string, chosen []int) []string {
	out := make([]string, len(chosen))
	for i, c := range chosen {
		out[i] = names[c]
	}
	return out
}

// hashInto adds the hashes of keys, and reports whether none of these has a null.
func (k *keyed) hashInto(set map[xxh3.Uint128]struct{}, columns []keyColumn, n int) bool {
	w := &keyedWorker{keyed: k}
	for from := 0; from < n; from += keyedBlock {
		rows := w.choose(from, min(keyedBlock, n-from))
		w.hashKeys(columns, rows)
		for i := range rows {
			if w.places[i]&keylessRow != 0 {
				return false
			}
			set[w.keys[i]] = struct{}{}
			w.places[i] = 0
		}
	}
	return true
}

// rangesOf covers values with a bounded number of ranges.
func rangesOf(values []string) []store.Range {
	slices.Sort(values)
	values = slices.Compact(values)
	each := (len(values) + maxRanges - 1) / maxRanges
	var out []store.Range
	for from := 0; from < len(values); from += each {
		out = append(out, store.Range{Min: values[from], Max: values[min(from+each, len(values))-1]})
	}
	return out
}

// narrow makes the query of a table that reads little more than the samples that are looked at.
func (k *keyed) narrow(q store.Query, t *keyedTable) store.Query {
	var within store.Within
	var column int
	switch {
	case k.only != nil && k.only.within != nil:
		within, column = *k.only.within, k.only.column
	case k.only == nil && k.plan.division != nil:
		within, column = *k.plan.division.Within(k.plan.options.Shard.Index, k.plan.options.Shard.Count), k.rangeColumn()
	default:
		return q
	}
	within.Column = t.scan.keys[t.keys[column]]
	q.Within = &within
	return q
}
