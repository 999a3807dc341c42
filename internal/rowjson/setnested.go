package rowjson

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// structSetter reads an object into a struct. With text, a version that is given as a number is taken as its text.
func structSetter(t *arrow.StructType, text bool) (setter, error) {
	members := make(map[string]int, t.NumFields())
	set := make([]setter, t.NumFields())
	for i, f := range t.Fields() {
		members[f.Name] = i
		var err error
		if set[i], err = setterOf(f.Type, false); err != nil {
			return nil, fmt.Errorf("member %q: %w", f.Name, err)
		}
		if text && f.Type.ID() == arrow.STRING {
			set[i] = setVersion
		}
	}
	return func(b array.Builder, raw []byte) error {
		if kindOf(raw) != kindObject {
			return unfit(raw, "an object")
		}
		return setMembers(b.(*array.StructBuilder), raw, members, set)
	}, nil
}

func setMembers(b *array.StructBuilder, raw []byte, members map[string]int, set []setter) error {
	b.Append(true)
	want := b.Len()
	err := scanMembers(raw, func(name string, value []byte) error {
		i, ok := members[name]
		if !ok {
			return fmt.Errorf("%w: the column has no member %q", ErrValue, name)
		}
		field := b.FieldBuilder(i)
		if field.Len() == want {
			return fmt.Errorf("has the member %q twice", name)
		}
		if err := set[i](field, value); err != nil {
			return fmt.Errorf("member %q: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range b.NumField() {
		if field := b.FieldBuilder(i); field.Len() < want {
			field.AppendNull()
		}
	}
	return nil
}

// setVersion takes a field's version: a string, or an integer, which Metaxy hashes as its decimal text.
func setVersion(b array.Builder, raw []byte) error {
	switch kindOf(raw) {
	case kindNull:
		b.AppendNull()
		return nil
	case kindString, kindInteger:
		return setString(b, raw)
	default:
		return unfit(raw, "a version as a string")
	}
}

// mapSetter reads an object into a map with string keys.
func mapSetter(t *arrow.MapType, text bool) (setter, error) {
	item, err := setterOf(t.ItemType(), false)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	if text && t.ItemType().ID() == arrow.STRING {
		item = setVersion
	}
	if t.KeyType().ID() != arrow.STRING {
		return nil, fmt.Errorf("%w: no JSON form is read into a map with keys of type %s", ErrValue, t.KeyType())
	}
	return func(b array.Builder, raw []byte) error {
		if kindOf(raw) != kindObject {
			return unfit(raw, "an object")
		}
		m, seen := b.(*array.MapBuilder), map[string]bool{}
		m.Append(true)
		return scanMembers(raw, func(name string, value []byte) error {
			if seen[name] {
				return fmt.Errorf("has the key %q twice", name)
			}
			seen[name] = true
			m.KeyBuilder().(*array.StringBuilder).Append(name)
			if err := item(m.ItemBuilder(), value); err != nil {
				return fmt.Errorf("key %q: %w", name, err)
			}
			return nil
		})
	}, nil
}

func listSetter(t *arrow.ListType) (setter, error) {
	elem, err := setterOf(t.Elem(), false)
	if err != nil {
		return nil, fmt.Errorf("elements: %w", err)
	}
	return func(b array.Builder, raw []byte) error {
		if kindOf(raw) != kindList {
			return unfit(raw, "a list")
		}
		l := b.(*array.ListBuilder)
		l.Append(true)
		return scanArray(raw, func(value []byte) error { return elem(l.ValueBuilder(), value) })
	}, nil
}
