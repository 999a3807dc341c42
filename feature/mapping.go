package feature

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// resolve returns the parent fields that a field is computed from, in the order in which they are hashed.
func (f *Feature) resolve(field Field) ([]FieldRef, error) {
	refs := map[FieldRef]bool{}
	var err error
	switch {
	case f.Root():
	case field.Deps.All:
		for _, p := range f.parents {
			p.Feature.addAll(refs)
		}
	case len(field.Deps.On) > 0:
		err = f.resolveListed(refs, field.Deps.On)
	default:
		err = f.resolveMapped(refs, field.Key)
	}
	if err != nil {
		return nil, err
	}
	return sortedRefs(refs), nil
}

// sortedRefs sorts by the whole name, in which the dot between feature and field counts like any character.
func sortedRefs(refs map[FieldRef]bool) []FieldRef {
	names := make(map[string]FieldRef, len(refs))
	for ref := range refs {
		names[ref.String()] = ref
	}
	sorted := make([]FieldRef, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		sorted = append(sorted, names[name])
	}
	return sorted
}

func (f *Feature) addAll(refs map[FieldRef]bool) {
	for key := range f.fields {
		refs[FieldRef{f.Key(), key}] = true
	}
}

// resolveListed adds the fields that a field lists itself; the mappings of the dependencies have no say then.
func (f *Feature) resolveListed(refs map[FieldRef]bool, deps []FieldDep) error {
	for _, dep := range deps {
		parent, ok := f.byKey[dep.Feature]
		if !ok {
			return fmt.Errorf("%w: depends on fields of %q, which is not among the feature's deps; add it there%s",
				ErrUnknown, dep.Feature, didYouMean(string(dep.Feature), keyNames(f.byKey)))
		}
		if dep.Fields == nil {
			parent.addAll(refs)
		}
		for _, key := range dep.Fields {
			if !parent.fields[key] {
				return fmt.Errorf("%w: depends on field %q, which feature %q does not have%s",
					ErrUnknown, key, dep.Feature, didYouMean(string(key), keyNames(parent.fields)))
			}
			refs[FieldRef{dep.Feature, key}] = true
		}
	}
	return nil
}

// resolveMapped adds the fields that the mappings of the dependencies find, each for its own parent.
func (f *Feature) resolveMapped(refs map[FieldRef]bool, field Key) error {
	for _, p := range f.parents {
		for _, key := range p.Dep.Mapping.find(field, p.Feature.fields) {
			refs[FieldRef{p.Feature.Key(), key}] = true
		}
	}
	if len(refs) == 0 {
		return fmt.Errorf("%w: no mapping of the feature's deps finds a field to compute it from; "+
			"list the parent fields in the field's deps, or change a mapping", ErrMapping)
	}
	return nil
}

// find returns the fields among those of a parent that a field is computed from.
func (m Mapping) find(field Key, parent map[Key]bool) []Key {
	switch m.Kind {
	case MapAll:
		return slices.Collect(maps.Keys(parent))
	case MapSpecific:
		return keep(slices.Values(m.Fields[field]), func(k Key) bool { return parent[k] })
	case MapNone:
		return nil
	}
	excluded := make(map[Key]bool, len(m.Exclude))
	for _, k := range m.Exclude {
		excluded[k] = true
	}
	same := keep(maps.Keys(parent), func(k Key) bool {
		return !excluded[k] && (k == field || m.MatchSuffix && strings.HasSuffix(string(k), "/"+string(field)))
	})
	if len(same) > 0 {
		return same
	}
	return keep(maps.Keys(parent), func(k Key) bool { return !excluded[k] })
}

func keep(keys iter.Seq[Key], want func(Key) bool) []Key {
	var kept []Key
	for k := range keys {
		if want(k) {
			kept = append(kept, k)
		}
	}
	return kept
}

func keyNames[V any](m map[Key]V) iter.Seq[string] {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(string(k)) {
				return
			}
		}
	}
}
