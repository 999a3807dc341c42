package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// refOutput are the columns that identify a parent's samples in its child.
func refOutput(f *feature.Feature, p feature.Parent) []string {
	switch {
	case p.Dep.Lineage.On != nil:
		return p.Dep.Lineage.On
	case p.Dep.Lineage.Kind == feature.ManyToOne:
		return f.Spec().IDColumns
	}
	var out []string
	for _, id := range p.Feature.Spec().IDColumns {
		if n, ok := p.Dep.Rename[id]; ok {
			id = n
		}
		out = append(out, id)
	}
	return out
}

// refCompareColumns are the ids, if the parents have them all; else what the parents share.
func refCompareColumns(f *feature.Feature) []string {
	var known []string
	for _, p := range f.Parents() {
		known = append(known, refOutput(f, p)...)
	}
	for _, id := range f.Spec().IDColumns {
		if !slices.Contains(known, id) {
			return refJoinColumns(f)
		}
	}
	return f.Spec().IDColumns
}

// refOrder are the values by which the rows of a group are sorted: ids that the child sees, then the others.
func refOrder(p feature.Parent, row refRow) []any {
	var seen, unseen []any
	for _, id := range p.Feature.Spec().IDColumns {
		name := id
		if n, ok := p.Dep.Rename[id]; ok {
			name = n
		}
		if p.Dep.Select == nil || slices.Contains(p.Dep.Select, name) || p.Dep.Lineage.On == nil ||
			slices.Contains(p.Dep.Lineage.On, name) {
			seen = append(seen, row[id])
		} else {
			unseen = append(unseen, row[id])
		}
	}
	return append(seen, unseen...)
}

func refCompare(a, b any) int {
	switch a := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case string:
		if b == nil {
			return 1
		}
		return strings.Compare(a, b.(string))
	case int64:
		if b == nil {
			return 1
		}
		return cmp.Compare(a, b.(int64))
	case float64:
		if b == nil {
			return 1
		}
		return cmp.Compare(a, b.(float64))
	case bool:
		if b == nil || a && !b.(bool) {
			return 1
		}
		if a == b.(bool) {
			return 0
		}
		return -1
	}
	panic(fmt.Sprintf("an id of type %T", a))
}

// refAggregate gives every row the versions of its group.
func refAggregate(p feature.Parent, rows []refRow, by []string, h Hashing) {
	groups := map[string][]refRow{}
	for _, row := range rows {
		key, _ := refKey(row, by)
		groups[key] = append(groups[key], row)
	}
	column := string("versions of " + p.Feature.Key())
	for _, group := range groups {
		slices.SortFunc(group, func(a, b refRow) int {
			return slices.CompareFunc(a["order"].([]any), b["order"].([]any), refCompare)
		})
		versions := refRow{}
		for _, field := range p.Feature.Spec().Fields {
			var values []string
			for _, row := range group {
				own, _ := row[column].(refRow)
				if v, ok := own[field.Key.StructKey()].(string); ok {
					values = append(values, v)
				}
			}
			versions[field.Key.StructKey()] = h.Sum(strings.Join(values, "|"))
		}
		for _, row := range group {
			row[column] = versions
		}
	}
}

// The conditions of random worlds.
const (
	atLeast    = "%s >= %d"
	notAtLeast = "NOT %s >= %d"
	isNull     = "%s IS NULL"
)

// refHolds evaluates a condition: true, false, or nil.
func refHolds(row refRow, condition string) any {
	column, bound := "", int64(0)
	switch {
	case strings.HasSuffix(condition, " IS NULL"):
		return row[strings.TrimSuffix(condition, " IS NULL")] == nil
	default:
		negated := strings.HasPrefix(condition, "NOT ")
		if n, err := fmt.Sscanf(strings.TrimPrefix(condition, "NOT "), atLeast, &column, &bound); n != 2 {
			panic(err)
		}
		value, ok := row[column].(int64)
		if !ok {
			return nil
		}
		return value >= bound != negated
	}
}

func refPasses(row refRow, conditions []string) bool {
	for _, c := range conditions {
		if refHolds(row, c) != true {
			return false
		}
	}
	return true
}

// refAny is true if a condition holds, else nil if one is unknown.
func refAny(row refRow, conditions []string) any {
	var out any = false
	for _, c := range conditions {
		switch refHolds(row, c) {
		case true:
			return true
		case nil:
			out = nil
		}
	}
	return out
}
