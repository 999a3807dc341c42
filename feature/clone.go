package feature

import (
	"fmt"
	"maps"
	"slices"
)

// completed returns a copy of the spec that shares nothing with it and has every default filled in.
func (s *Spec) completed() (Spec, error) {
	metadata, err := normal(s.Metadata, 0)
	if err != nil {
		return Spec{}, fmt.Errorf("%w: metadata%w", ErrSpec, err)
	}
	c := *s
	c.Metadata = metadata.(map[string]any)
	c.IDColumns = slices.Clone(s.IDColumns)
	c.Deps = cloneList(s.Deps, Dep.clone)
	c.Fields = cloneList(s.fields(), Field.completed)
	c.described = s.described || s.Description != ""
	return c, nil
}

func (f Field) completed() Field {
	return Field{
		Key:         f.name(),
		CodeVersion: f.code(),
		Deps: FieldDeps{
			All: f.Deps.All,
			On: cloneList(f.Deps.On, func(d FieldDep) FieldDep {
				return FieldDep{Feature: d.Feature, Fields: slices.Clone(d.Fields)}
			}),
		},
		versioned: true,
	}
}

func (d Dep) clone() Dep {
	d.Select = slices.Clone(d.Select)
	d.Rename = maps.Clone(d.Rename)
	d.Filters = slices.Clone(d.Filters)
	d.Lineage.On = slices.Clone(d.Lineage.On)
	d.Mapping.Exclude = slices.Clone(d.Mapping.Exclude)
	d.Mapping.Fields = maps.Clone(d.Mapping.Fields)
	for field, parents := range d.Mapping.Fields {
		d.Mapping.Fields[field] = slices.Clone(parents)
	}
	return d
}

func cloneList[T any](list []T, clone func(T) T) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = clone(v)
	}
	return out
}
