package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Samples are expected samples that the caller gave, in memory. Their references are the numbers of batch and row.
type samples struct {
	schema  *arrow.Schema
	batches []arrow.RecordBatch
}

// readSamples takes the caller's samples and brings them to stored types.
func readSamples(rows iter.Seq2[arrow.RecordBatch, error], f *feature.Feature) (*samples, error) {
	out := &samples{}
	for rec, err := range rows {
		if err == nil {
			err = out.add(rec)
		}
		if err != nil {
			return nil, fmt.Errorf("samples of %q: %w", f.Key(), err)
		}
	}
	if out.schema == nil {
		return nil, fmt.Errorf("samples of %q: %w: not even an empty batch that says which columns they have",
			f.Key(), ErrRows)
	}
	if err := out.check(f); err != nil {
		return nil, fmt.Errorf("samples of %q: %w", f.Key(), err)
	}
	return out, nil
}

func (s *samples) add(rec arrow.RecordBatch) error {
	if s.schema == nil {
		var err error
		if s.schema, err = store.StoredSchema(rec.Schema()); err != nil {
			return err
		}
	}
	rec, err := store.Conform(rec, s.schema)
	if err != nil {
		return err
	}
	s.batches = append(s.batches, rec)
	return nil
}

// check refuses samples that no version can be made of.
func (s *samples) check(f *feature.Feature) error {
	col, ok := store.Column(s.schema, feature.ColProvenanceByField)
	if !ok {
		return fmt.Errorf("%w: there is no column %s; it holds the version of every field",
			ErrRows, feature.ColProvenanceByField)
	}
	return checkMembers(f, col)
}

// checkMembers refuses a by-field column without a member for each field.
func checkMembers(f *feature.Feature, col arrow.Field) error {
	switch t := col.Type.(type) {
	case *arrow.MapType:
		return nil
	case *arrow.StructType:
		for _, field := range specFields(f) {
			if _, ok := t.FieldIdx(field.Key.StructKey()); !ok {
				return fmt.Errorf("%w: %s has no member %q for the field %q",
					ErrRows, col.Name, field.Key.StructKey(), field.Key)
			}
		}
		return nil
	}
	return fmt.Errorf("%w: %s is of type %s; expected a struct with a member for each field",
		ErrRows, col.Name, col.Type)
}

// table prepares the samples for comparing. Every one of them is an entry, duplicates too.
func (s *samples) table(scan *tableScan) (*table, error) {
	t := newTable(nil)
	for i, rec := range s.batches {
		c := chunk{batch: store.Batch{File: uint32(i)}, deleted: nullCells(int(rec.NumRows()))}
		var err error
		if c.keys, err = keyColumns(rec, scan.keys); err != nil {
			return nil, err
		}
		if c.texts, err = textColumns(rec, feature.ColProvenanceByField, scan.members, nil); err != nil {
			return nil, err
		}
		if c.passes, err = scan.filters.all(rec); err != nil {
			return nil, err
		}
		t.addAll(c, int(rec.NumRows()))
	}
	return t, nil
}

// Fetch returns the samples with the given references.
func (s *samples) Fetch(_ context.Context, refs []store.RowRef, columns []string) (arrow.RecordBatch, error) {
	fields := make([]arrow.Field, len(columns))
	parts := make([][]arrow.Array, len(columns))
	for from := 0; from < len(refs); {
		to := from + 1
		for to < len(refs) && refs[to].File() == refs[from].File() {
			to++
		}
		rows := make([]int, to-from)
		for i := range rows {
			rows[i] = int(refs[from+i].Row())
		}
		for i, name := range columns {
			part, err := store.TakeArray(columnOf(s.batches[refs[from].File()], name), rows)
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", name, err)
			}
			parts[i] = append(parts[i], part)
		}
		from = to
	}
	cols := make([]arrow.Array, len(columns))
	for i, name := range columns {
		fields[i], _ = store.Column(s.schema, name)
		var err error
		if cols[i], err = concatenate(fields[i].Type, parts[i]); err != nil {
			return nil, fmt.Errorf("column %q: %w", name, err)
		}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, int64(len(refs))), nil
}

// concatenate joins parts of a column; without any it returns an empty column.
func concatenate(t arrow.DataType, parts []arrow.Array) (arrow.Array, error) {
	switch len(parts) {
	case 0:
		return array.MakeArrayOfNull(memory.DefaultAllocator, t, 0), nil
	case 1:
		return parts[0], nil
	}
	return array.Concatenate(slices.Clone(parts), memory.DefaultAllocator)
}
