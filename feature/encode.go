package feature

import (
	"fmt"
	"slices"
)

// MarshalJSON writes every member in Metaxy's shape, defaults filled in.
func (s Spec) MarshalJSON() ([]byte, error) {
	text, err := s.Text()
	return []byte(text), err
}

// tree returns the spec as the JSON object that Metaxy makes of it, members in their declared order.
func (s *Spec) tree() (object, error) {
	metadata, err := normal(s.Metadata, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: metadata%w", ErrSpec, err)
	}
	var description any
	if s.Description != "" || s.described {
		description = s.Description
	}
	return object{
		{"key", string(s.Key)},
		{"id_columns", stringList(s.IDColumns)},
		{"deps", treeList(s.Deps, Dep.tree)},
		{"fields", treeList(s.fields(), Field.tree)},
		{"metadata", metadata},
		{"description", description},
	}, nil
}

func (f Field) tree() any {
	return object{{"key", string(f.name())}, {"code_version", f.code()}, {"deps", f.Deps.tree()}}
}

func (d FieldDeps) tree() any {
	if d.All {
		return allMarker
	}
	return treeList(d.On, FieldDep.tree)
}

func (d FieldDep) tree() any {
	var fields any = allMarker
	if d.Fields != nil {
		fields = stringList(d.Fields)
	}
	return object{{"feature", string(d.Feature)}, {"fields", fields}}
}

func (d Dep) tree() any {
	return object{
		{"feature", string(d.Feature)},
		{"select", orNull(d.Select)},
		{"rename", d.renameTree()},
		{"fields_mapping", object{{"mapping", d.Mapping.tree()}}},
		{"sql_filters", orNull(d.Filters)},
		{"lineage", object{{"relationship", d.Lineage.tree()}}},
		{"optional", d.Optional},
	}
}

func (d Dep) renameTree() any {
	if d.Rename == nil {
		return nil
	}
	rename := make(map[string]any, len(d.Rename))
	for from, to := range d.Rename {
		rename[from] = to
	}
	return sortedObject(rename)
}

func (l Lineage) tree() any {
	o := object{{"type", l.Kind.String()}}
	switch l.Kind {
	case ManyToOne:
		o = append(o, member{"on", orNull(l.On)})
	case OneToMany:
		var pattern any
		if l.IDGenerationPattern != "" || l.patterned {
			pattern = l.IDGenerationPattern
		}
		o = append(o, member{"on", stringList(l.On)}, member{"id_generation_pattern", pattern})
	}
	return o
}

func (m Mapping) tree() any {
	o := object{{"type", m.Kind.String()}}
	switch m.Kind {
	case MapDefault:
		o = append(o, member{"match_suffix", m.MatchSuffix}, member{"exclude_fields", stringList(m.Exclude)})
	case MapSpecific:
		fields := make(map[string]any, len(m.Fields))
		for field, parents := range m.Fields {
			fields[string(field)] = treeList(keySet(parents), func(k Key) any { return stringList(k.Parts()) })
		}
		o = append(o, member{"mapping", sortedObject(fields)})
	}
	return o
}

// keySet returns the keys in order, each once.
func keySet(keys []Key) []Key {
	keys = slices.Clone(keys)
	slices.SortFunc(keys, Key.Compare)
	return slices.Compact(keys)
}

func treeList[T any](list []T, tree func(T) any) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = tree(v)
	}
	return out
}

func stringList[S ~string](list []S) []any {
	return treeList(list, func(s S) any { return string(s) })
}

func orNull(list []string) any {
	if list == nil {
		return nil
	}
	return stringList(list)
}
