package engine

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// This is Resolve once more, by plain loops over rows in maps, as the rules are written. It is
// slow and shares no code with the package but the hash functions.

// A refRow is a row: its columns by name. Values are nil, string, int64, float64, bool or, for by-field columns, a refRow.
type refRow map[string]any

// A refResult is what a resolve should return.
type refResult struct {
	fresh, stale, orphaned []refRow
	unresolvable           int64
}

// refKey writes the values of columns so that different values differ; ok is false if one is null.
func refKey(row refRow, columns []string) (key string, ok bool) {
	ok = true
	for _, c := range columns {
		key += fmt.Sprintf("%T %q,", row[c], fmt.Sprint(row[c]))
		ok = ok && row[c] != nil
	}
	return key, ok
}

// refLatest keeps the newest row of each sample, in physical order of rows, and drops the deleted ones.
func refLatest(rows []refRow, f *feature.Feature) []refRow {
	newest := map[string]refRow{}
	var order []string
	for _, row := range rows {
		if row[feature.ColFeatureVersion] != f.Version() {
			continue
		}
		key, _ := refKey(row, f.Spec().IDColumns)
		old, ok := newest[key]
		if !ok {
			order = append(order, key)
		}
		if !ok || refTime(row) >= refTime(old) {
			newest[key] = row
		}
	}
	var out []refRow
	for _, key := range order {
		if newest[key][feature.ColDeletedAt] == nil {
			out = append(out, newest[key])
		}
	}
	return out
}

func refTime(row refRow) int64 {
	for _, c := range []string{feature.ColDeletedAt, feature.ColUpdatedAt} {
		if t, ok := row[c].(int64); ok {
			return t
		}
	}
	return -1 << 63
}

// refParent is a parent's rows as the child sees them: filtered, renamed, selected, and with the data versions under the
// parent's key, which an aggregation makes of those of the group.
func refParent(f *feature.Feature, p feature.Parent, rows []refRow, o *Options) []refRow {
	runtime := slices.Concat(o.Filters[p.Feature.Key()], o.GlobalFilters)
	rename := func(c string) string {
		if n, ok := p.Dep.Rename[c]; ok {
			return n
		}
		return c
	}
	kept := p.Feature.Spec().IDColumns
	if len(p.Dep.Lineage.On) > 0 {
		kept = nil
	}
	var out []refRow
	for _, row := range refLatest(rows, p.Feature) {
		seen, renamed := refRow{string("versions of " + p.Feature.Key()): row[feature.ColDataVersionByField]}, refRow{}
		seen["order"] = refOrder(p, row)
		for c, v := range row {
			renamed[rename(c)] = v
		}
		if !refPasses(row, runtime) || !refPasses(renamed, p.Dep.Filters) {
			continue
		}
		for c, v := range row {
			selected := p.Dep.Select == nil || slices.Contains(p.Dep.Select, rename(c)) ||
				slices.Contains(kept, c) || slices.Contains(p.Dep.Lineage.On, rename(c))
			if !feature.IsSystemColumn(c) && !strings.HasPrefix(c, feature.ColDeletedAt) && selected {
				seen[rename(c)] = v
			}
		}
		out = append(out, seen)
	}
	if p.Dep.Lineage.Kind == feature.ManyToOne {
		refAggregate(p, out, refOutput(f, p), o.Hashing)
	}
	for _, row := range out {
		delete(row, "order")
	}
	return out
}

// refJoinColumns are the columns that identify the samples of all parents.
func refJoinColumns(f *feature.Feature) []string {
	count := map[string]int{}
	for _, p := range f.Parents() {
		for _, id := range refOutput(f, p) {
			count[id]++
		}
	}
	var out []string
	for c, n := range count {
		if n == len(f.Parents()) {
			out = append(out, c)
		}
	}
	sort.Strings(out)
	return out
}

// refJoin joins all pairs of rows that agree on the columns.
func refJoin(left, right []refRow, columns []string, keepLeft, keepRight bool) []refRow {
	var out []refRow
	matched := make([]bool, len(right))
	for _, l := range left {
		lk, ok := refKey(l, columns)
		found := false
		for i, r := range right {
			if rk, _ := refKey(r, columns); ok && rk == lk {
				found, matched[i] = true, true
				both := refRow{}
				for c, v := range r {
					both[c] = v
				}
				for c, v := range l {
					both[c] = v
				}
				out = append(out, both)
			}
		}
		if !found && keepLeft {
			out = append(out, l)
		}
	}
	for i, r := range right {
		if !matched[i] && keepRight {
			out = append(out, r)
		}
	}
	return out
}

// refExpected joins the parents: the required ones, then what the optional ones add.
func refExpected(f *feature.Feature, tables map[feature.Key][]refRow, o *Options) []refRow {
	var out []refRow
	first, allOptional := true, true
	for _, optional := range []bool{false, true} {
		for _, p := range f.Parents() {
			if p.Dep.Optional != optional {
				continue
			}
			rows := refParent(f, p, tables[p.Feature.Key()], o)
			if first {
				out, first, allOptional = rows, false, optional
				continue
			}
			out = refJoin(out, rows, refJoinColumns(f), optional, allOptional)
		}
	}
	return out
}

// refVersions adds the versions to an expected row; it reports false if a field has none.
func refVersions(f *feature.Feature, h Hashing, row refRow) bool {
	optional := map[feature.Key]bool{}
	for _, p := range f.Parents() {
		optional[p.Feature.Key()] = p.Dep.Optional
	}
	byField := refRow{}
	var members []string
	complete := true
	for _, field := range f.Spec().Fields {
		input := string(field.Key) + "|" + field.CodeVersion
		for _, in := range f.Inputs(field.Key) {
			versions, _ := row[string("versions of "+in.Feature)].(refRow)
			value, ok := versions[in.Field.StructKey()].(string)
			if !ok && !optional[in.Feature] {
				complete = false
			}
			input += "|" + in.String() + "|" + value
		}
		byField[field.Key.StructKey()] = h.Sum(input)
		members = append(members, field.Key.StructKey())
	}
	sort.Strings(members)
	var values []string
	for _, m := range members {
		values = append(values, byField[m].(string))
	}
	for c := range row {
		if strings.HasPrefix(c, "versions of ") {
			delete(row, c)
		}
	}
	row[feature.ColProvenanceByField], row[feature.ColDataVersionByField] = byField, byField
	row[feature.ColProvenance] = h.Sum(strings.Join(values, "|"))
	row[feature.ColDataVersion] = row[feature.ColProvenance]
	return complete
}

// refResolve compares the expected with the stored rows.
func refResolve(f *feature.Feature, tables map[feature.Key][]refRow, o Options) refResult {
	var out refResult
	var current []refRow
	for _, row := range refLatest(tables[f.Key()], f) {
		if refPasses(row, slices.Concat(o.Filters[f.Key()], o.GlobalFilters, o.TargetFilters)) {
			current = append(current, row)
		}
	}
	compare := refCompareColumns(f)
	expected := map[string]bool{}
	for _, row := range refExpected(f, tables, &o) {
		key, ok := refKey(row, compare)
		expected[key] = expected[key] || ok
		complete := refVersions(f, o.Hashing, row)
		stored, stale := false, false
		for _, c := range current {
			if ck, _ := refKey(c, compare); ok && ck == key {
				stored = true
				stale = stale || c[feature.ColProvenance] != row[feature.ColProvenance] || refAny(c, o.StaleIf) == true
			}
		}
		switch {
		case !complete:
			out.unresolvable++
		case !stored:
			out.fresh = append(out.fresh, row)
		case stale:
			out.stale = append(out.stale, row)
		}
	}
	for _, c := range current {
		if key, _ := refKey(c, compare); !expected[key] {
			if c = maps.Clone(c); len(o.StaleIf) > 0 {
				c["__stale_by_predicate"] = refAny(c, o.StaleIf)
			}
			out.orphaned = append(out.orphaned, c)
		}
	}
	return out
}
