package forecast

import (
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/zeebo/xxh3"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A patch says which samples of a table will have other versions of data, and which will be gone.
type patch struct {
	keys []string // the columns that tell samples apart
	rows map[xxh3.Uint128]place
	gone map[xxh3.Uint128]bool
	data []arrow.Array // the columns of versions by field that places point into
}

// A place is a row of one of the patch's columns.
type place struct{ column, row uint32 }

func newPatch(keys []string) *patch {
	return &patch{keys: keys, rows: map[xxh3.Uint128]place{}, gone: map[xxh3.Uint128]bool{}}
}

func (p *patch) empty() bool { return p == nil || len(p.rows) == 0 && len(p.gone) == 0 }

// each calls fn with the sample of each row.
func (p *patch) each(rec arrow.RecordBatch, fn func(i int, sample xxh3.Uint128)) {
	cols := make([]arrow.Array, len(p.keys))
	for k, name := range p.keys {
		cols[k] = columnOf(rec, name)
	}
	var key []byte
	for i := range int(rec.NumRows()) {
		key = key[:0]
		for _, c := range cols {
			if c == nil || c.IsNull(i) {
				key = append(key, '-')
				continue
			}
			text := c.ValueStr(i)
			key = fmt.Appendf(key, "%d:%s", len(text), text)
		}
		fn(i, xxh3.Hash128(key))
	}
}

// mark notes the samples.
func (p *patch) mark(rec arrow.RecordBatch) {
	p.each(rec, func(i int, s xxh3.Uint128) { p.rows[s] = place{} })
}

// markGone notes samples that will be gone.
func (p *patch) markGone(rec arrow.RecordBatch) {
	p.each(rec, func(i int, s xxh3.Uint128) { p.gone[s] = true })
}

// values notes the versions of data that samples will have.
func (p *patch) values(rec arrow.RecordBatch) {
	p.data = append(p.data, columnOf(rec, feature.ColDataVersionByField))
	column := uint32(len(p.data) - 1)
	p.each(rec, func(i int, s xxh3.Uint128) { p.rows[s] = place{column, uint32(i)} })
}

// apply returns rows of the table as they will be. Old rows are of the version that the feature had before.
func (p *patch) apply(rec arrow.RecordBatch, old bool) arrow.RecordBatch {
	places := make([]*place, rec.NumRows())
	gone, hits := make([]bool, rec.NumRows()), false
	p.each(rec, func(i int, s xxh3.Uint128) {
		if at, ok := p.rows[s]; ok {
			places[i], hits = &at, true
		}
		if old && p.gone[s] {
			gone[i], hits = true, true
		}
	})
	if !hits {
		return rec
	}
	rec = replace(rec, feature.ColDataVersionByField, func(a arrow.Array) arrow.Array { return p.members(a, places) })
	return replace(rec, feature.ColDeletedAt, func(a arrow.Array) arrow.Array {
		return deleted(a, columnOf(rec, feature.ColUpdatedAt), gone)
	})
}

// members is a column of versions by field with those of the patch in place of the stored ones. It is a struct, also where
// the stored column is a map.
func (p *patch) members(a arrow.Array, places []*place) arrow.Array {
	names := memberNames(a)
	if len(p.data) > 0 {
		names = distinct(append(names, memberNames(p.data[0])...))
	}
	return structOf(a, names, func(name string, i int) (string, bool) {
		if at := places[i]; at != nil {
			return member(p.data[at.column], name, int(at.row))
		}
		return member(a, name, i)
	})
}

// filled is a column of versions by field in which those of the given members that are missing are some text.
func filled(a arrow.Array, members []string) arrow.Array {
	return structOf(a, distinct(append(memberNames(a), members...)), func(name string, i int) (string, bool) {
		text, ok := member(a, name, i)
		if !ok {
			text = "to be ingested"
		}
		return text, true
	})
}

// structOf makes a column of versions by field in place of a; without members it is a.
func structOf(a arrow.Array, names []string, value func(name string, i int) (string, bool)) arrow.Array {
	cols := make([]arrow.Array, len(names))
	for m, name := range names {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		for i := range a.Len() {
			if text, ok := value(name, i); ok {
				b.Append(text)
			} else {
				b.AppendNull()
			}
		}
		cols[m] = b.NewArray()
	}
	out, err := array.NewStructArray(cols, names)
	if err != nil {
		return a
	}
	return out
}

// memberNames are the members of a struct column; a map has none of its own.
func memberNames(a arrow.Array) []string {
	t, ok := a.DataType().(*arrow.StructType)
	if !ok {
		return nil
	}
	var names []string
	for _, f := range t.Fields() {
		names = append(names, f.Name)
	}
	return names
}

func distinct(names []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// member is the text of a member of a row, and whether there is one.
func member(a arrow.Array, name string, i int) (string, bool) {
	switch a := a.(type) {
	case *array.Struct:
		at, ok := a.DataType().(*arrow.StructType).FieldIdx(name)
		if !ok || a.IsNull(i) || a.Field(at).IsNull(i) {
			return "", false
		}
		return a.Field(at).ValueStr(i), true
	case *array.Map:
		if a.IsNull(i) {
			return "", false
		}
		start, end := a.ValueOffsets(i)
		for e := int(start); e < int(end); e++ {
			if a.Keys().ValueStr(e) == name && !a.Items().IsNull(e) {
				return a.Items().ValueStr(e), true
			}
		}
	}
	return "", false
}

// deleted is when rows were deleted, those that will be gone right when they were written.
func deleted(a, updated arrow.Array, gone []bool) arrow.Array {
	was, ok := a.(*array.Timestamp)
	if !ok {
		return a
	}
	written, _ := updated.(*array.Timestamp)
	b := array.NewTimestampBuilder(memory.DefaultAllocator, was.DataType().(*arrow.TimestampType))
	for i := range was.Len() {
		switch {
		case !was.IsNull(i):
			b.Append(was.Value(i))
		case !gone[i]:
			b.AppendNull()
		case written != nil && !written.IsNull(i):
			b.Append(written.Value(i))
		default:
			b.Append(0)
		}
	}
	return b.NewArray()
}

func columnOf(rec arrow.RecordBatch, name string) arrow.Array {
	if i := rec.Schema().FieldIndices(name); len(i) > 0 {
		return rec.Column(i[0])
	}
	return nil
}

// replace returns rows with another column in place of one, if they have it.
func replace(rec arrow.RecordBatch, name string, with func(arrow.Array) arrow.Array) arrow.RecordBatch {
	at := rec.Schema().FieldIndices(name)
	if len(at) == 0 {
		return rec
	}
	fields, cols := rec.Schema().Fields(), append([]arrow.Array(nil), rec.Columns()...)
	cols[at[0]] = with(cols[at[0]])
	fields[at[0]].Type = cols[at[0]].DataType()
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows())
}
