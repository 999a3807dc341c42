package metadata

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// sortBytes is the default of Table.SortBytes.
const sortBytes = 256 << 20

// WriteOptions tunes a write; the zero value is good for computed rows.
type WriteOptions struct {
	// PreserveFeatureVersion keeps the feature and project versions of rows that have both; false replaces them.
	PreserveFeatureVersion bool
	// FillNulls fills in metaxy_provenance and metaxy_created_at in rows where they are null, for rows whose form has no
	// other way to leave a value out. False stores a null that is given, as Metaxy does.
	FillNulls bool
	// Info is recorded with the commit, for people who read the table's history. Nil records only what is done.
	Info map[string]string
}

// Write appends rows, in one commit. They need the feature's id columns and metaxy_provenance_by_field; what else
// [engine.Seal] fills in is filled in. All batches must have one schema; they are read once. Of several rows of one id,
// in the table or among these, the later one counts: a stored row from the future is outdated too, by a stamp right after
// its own.
func (t *Table) Write(ctx context.Context, rows iter.Seq2[arrow.RecordBatch, error], o WriteOptions) (store.Commit, error) {
	return t.append(ctx, rows, o, "write", nil)
}

// append writes rows, to exactly one version of the primary store's table if one is expected.
func (t *Table) append(ctx context.Context, rows iter.Seq2[arrow.RecordBatch, error], o WriteOptions, operation string,
	expect *int64) (store.Commit, error) {
	w := &writer{table: t, options: o, stamp: t.stamp()}
	w.stamp.PreserveVersions = o.PreserveFeatureVersion
	var err error
	w.snap, err = t.own(ctx)
	if err != nil && !errors.Is(err, store.ErrNoTable) {
		return store.Commit{}, err
	}
	if err == nil {
		if w.stamp.Replaced, err = engine.ReadReplaced(ctx, w.snap, t.Feature, w.stamp.Now); err != nil {
			return store.Commit{}, err
		}
	}
	next, stop := iter.Pull2(rows)
	defer stop()
	if err := w.gather(next); err != nil {
		return store.Commit{}, err
	}
	return t.Store.Append(ctx, t.Feature.Key(), store.Write{
		Rows: w.rows(next), SortedBy: w.sortedBy, Properties: t.Hashing.Properties(), Info: info(operation, o.Info),
		Expect: expect,
	})
}

// info is what is recorded with a commit.
func info(operation string, more map[string]string) map[string]string {
	out := map[string]string{"operation": operation}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// A writer turns rows into those of one commit.
type writer struct {
	table   *Table
	options WriteOptions
	stamp   engine.Stamp
	snap    store.Snapshot // nil without a table

	target   *arrow.Schema // of the table after the write; nil before the first batch
	held     []arrow.RecordBatch
	bytes    uint64
	sortedBy []string
}

// gather seals rows until there are no more, which are then sorted, or until there are too many.
func (w *writer) gather(next func() (arrow.RecordBatch, error, bool)) error {
	for w.bytes < cmp.Or(w.table.SortBytes, sortBytes) {
		rec, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			return w.sort()
		}
		if rec, err = w.seal(rec); err != nil {
			return err
		}
		for _, col := range rec.Columns() {
			w.bytes += col.Data().SizeInBytes()
		}
		w.held = append(w.held, rec)
	}
	return nil
}

func (w *writer) sort() error {
	if len(w.held) == 0 {
		return nil
	}
	all, err := concatenate(w.held)
	if err != nil {
		return err
	}
	all, w.sortedBy, err = store.SortRows(all, w.table.Feature.Spec().IDColumns)
	w.held = []arrow.RecordBatch{all}
	return err
}

// rows yields what was gathered, then the rest.
func (w *writer) rows(next func() (arrow.RecordBatch, error, bool)) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, rec := range w.held {
			if !yield(rec, nil) {
				return
			}
		}
		w.held = nil
		for {
			rec, err, ok := next()
			if !ok {
				return
			}
			if err == nil {
				rec, err = w.seal(rec)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// seal completes a batch and brings it to the columns of the table.
func (w *writer) seal(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	for _, id := range w.table.Feature.Spec().IDColumns {
		at := rec.Schema().FieldIndices(id)
		if len(at) != 1 {
			return nil, fmt.Errorf("%w: there is no column %q; the feature's id columns must be there", engine.ErrRows, id)
		}
	}
	if w.target == nil {
		if err := w.settle(rec.Schema()); err != nil {
			return nil, err
		}
	}
	if w.options.FillNulls {
		var err error
		if rec, err = w.fill(rec); err != nil {
			return nil, err
		}
	}
	rec, err := engine.Seal(w.table.Feature, rec, w.stamp)
	if err != nil {
		return nil, err
	}
	return store.Conform(rec, w.target)
}

// fill gives rows what they would get if they did not have the columns in which they are null.
func (w *writer) fill(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	cols, fields := slices.Clone(rec.Columns()), slices.Clone(rec.Schema().Fields())
	for i, f := range fields {
		if f.Name != feature.ColProvenance && f.Name != feature.ColCreatedAt || rec.Column(i).NullN() == 0 {
			continue
		}
		without := array.NewRecordBatch(arrow.NewSchema(slices.Delete(slices.Clone(fields), i, i+1), nil),
			slices.Delete(slices.Clone(rec.Columns()), i, i+1), rec.NumRows())
		sealed, err := engine.Seal(w.table.Feature, without, w.stamp)
		if err != nil {
			return nil, err
		}
		if cols[i], err = coalesce(rec.Column(i), sealed.Column(sealed.Schema().FieldIndices(f.Name)[0])); err != nil {
			return nil, err
		}
		fields[i].Type = cols[i].DataType()
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows()), nil
}

// coalesce takes from other what is null in a.
func coalesce(a, other arrow.Array) (arrow.Array, error) {
	if a.NullN() == a.Len() {
		return other, nil
	}
	both, err := array.Concatenate([]arrow.Array{a, other}, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	rows := make([]int, a.Len())
	for i := range rows {
		if rows[i] = i; a.IsNull(i) {
			rows[i] += a.Len()
		}
	}
	return store.TakeArray(both, rows)
}

// settle fixes the columns of the rows by those of a row of nulls.
func (w *writer) settle(schema *arrow.Schema) error {
	cols := make([]arrow.Array, schema.NumFields())
	for i, f := range schema.Fields() {
		cols[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, 1)
	}
	probe, err := engine.Seal(w.table.Feature, array.NewRecordBatch(schema, cols, 1), w.stamp)
	if err != nil {
		return err
	}
	var have *arrow.Schema
	if w.snap != nil {
		have = w.snap.Schema()
	}
	w.target, err = store.MergeSchema(have, probe.Schema())
	return err
}

// concatenate puts batches with the same columns one after the other.
func concatenate(parts []arrow.RecordBatch) (arrow.RecordBatch, error) {
	if len(parts) == 1 {
		return parts[0], nil
	}
	schema, rows := parts[0].Schema(), int64(0)
	cols := make([]arrow.Array, schema.NumFields())
	for _, p := range parts {
		rows += p.NumRows()
	}
	for c := range cols {
		arrays := make([]arrow.Array, len(parts))
		for i, p := range parts {
			arrays[i] = p.Column(c)
		}
		var err error
		if cols[c], err = array.Concatenate(arrays, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("join column %q: %w", schema.Field(c).Name, err)
		}
	}
	return array.NewRecordBatch(schema, cols, rows), nil
}
