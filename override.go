package metaxy

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// override replaces the expected data versions of fields by those that a processor gives. Where it gives none, the
// expected one stays. A nil column gives none at all.
func override(expected, given arrow.Array) (arrow.Array, error) {
	want, ok := expected.(*array.Struct)
	if !ok {
		return nil, fmt.Errorf("column %q is %s, expected a struct", feature.ColDataVersionByField, expected.DataType())
	}
	if given == nil {
		return expected, nil
	}
	have, ok := given.(*array.Struct)
	if !ok {
		return nil, fmt.Errorf("the processor's column %q is %s, expected a struct with a text for each field",
			feature.ColDataVersionByField, given.DataType())
	}
	t := want.DataType().(*arrow.StructType)
	for _, f := range have.DataType().(*arrow.StructType).Fields() {
		if _, ok := t.FieldIdx(f.Name); !ok {
			return nil, fmt.Errorf("the processor gives a data version for the field %q, which the feature does not have", f.Name)
		}
	}
	members := make([]arrow.Array, t.NumFields())
	fields := make([]arrow.Field, t.NumFields())
	for i, f := range t.Fields() {
		members[i] = want.Field(i)
		if at, ok := have.DataType().(*arrow.StructType).FieldIdx(f.Name); ok {
			members[i] = overrideMember(want, have, members[i], have.Field(at))
		}
		fields[i] = arrow.Field{Name: f.Name, Type: members[i].DataType(), Nullable: true}
	}
	return array.NewStructArrayWithFields(members, fields)
}

func overrideMember(want, have *array.Struct, expected, given arrow.Array) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	b.Reserve(want.Len())
	for row := range want.Len() {
		switch {
		case have.IsValid(row) && given.IsValid(row):
			b.Append(given.ValueStr(row))
		case want.IsValid(row) && expected.IsValid(row):
			b.Append(expected.ValueStr(row))
		default:
			b.AppendNull()
		}
	}
	return b.NewArray()
}
