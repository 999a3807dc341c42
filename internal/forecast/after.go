package forecast

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// after makes the view of a feature's table once its increment is computed, and counts its samples. What has no children
// is only counted.
func (o *outlook) after(
	ctx context.Context, f *feature.Feature, own *view, inc *engine.Increment,
) (*view, error) {
	next := &view{key: f.Key(), base: own.base, oldVersion: own.oldVersion, newVersion: own.newVersion,
		fresh: inc.Count(engine.New), stale: inc.Count(engine.Stale)}
	keys := inc.Replaced().Columns()
	seen := o.children[f.Key()]
	if seen {
		next.patch = newPatch(keys)
	}
	if !seen && !aggregates(f) {
		return next, nil
	}
	for status, n := range map[engine.Status]*int64{engine.New: &next.fresh, engine.Stale: &next.stale} {
		if aggregates(f) {
			distinct := newPatch(keys)
			for rec, err := range inc.Batches(ctx, status, keys, batchRows) {
				if err != nil {
					return nil, err
				}
				distinct.mark(rec)
			}
			*n = int64(len(distinct.rows))
		}
	}
	if !seen {
		return next, nil
	}
	if o.valuesMatter(f) {
		for rec, err := range inc.Batches(ctx, engine.Stale, append(clone(keys), feature.ColDataVersionByField), batchRows) {
			if err != nil {
				return nil, err
			}
			next.patch.values(rec)
		}
	} else {
		next.fill = memberKeys(f)
	}
	if own.oldVersion != "" {
		for rec, err := range inc.Batches(ctx, engine.Orphaned, keys, batchRows) {
			if err != nil {
				return nil, err
			}
			next.patch.markGone(rec)
		}
	}
	if next.fresh == 0 || expands(f) {
		return next, nil
	}
	return next, next.add(ctx, f, inc)
}

// batchRows is how many samples are looked at at once.
const batchRows = 8192

func clone(names []string) []string { return append([]string(nil), names...) }

// valuesMatter reports whether a child could see, in a field whose version has not changed, other versions of data than
// before. Whatever is computed from a field whose version has changed is computed again anyway.
func (o *outlook) valuesMatter(f *feature.Feature) bool {
	old := o.before(f)
	if old == nil {
		return true
	}
	for _, field := range f.Spec().Fields {
		if old.FieldVersion(field.Key) == f.FieldVersion(field.Key) {
			return true
		}
	}
	return false
}

// memberKeys are the members of the feature's columns of versions by field.
func memberKeys(f *feature.Feature) []string {
	var out []string
	for _, field := range f.Spec().Fields {
		out = append(out, field.Key.StructKey())
	}
	return out
}

// add adds the samples that are new, with what is known of them: the columns that they take from their parents.
func (v *view) add(ctx context.Context, f *feature.Feature, inc *engine.Increment) error {
	schema := inc.Schema(engine.New)
	if v.base != nil {
		schema = v.base.Schema()
	}
	rows := func(yield func(arrow.RecordBatch, error) bool) {
		for rec, err := range inc.Batches(ctx, engine.New, nil, batchRows) {
			if err == nil {
				rec, err = v.fit(rec, schema)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
	m := store.NewMemory()
	if _, err := m.Append(ctx, f.Key(), store.Write{Rows: iter.Seq2[arrow.RecordBatch, error](rows)}); err != nil {
		return fmt.Errorf("foretell new samples: %w", err)
	}
	var err error
	v.extra, err = m.Snapshot(ctx, f.Key())
	return err
}

// fit makes rows of the table of expected samples: the columns that the table has, and those that tell when and under
// which version a row was written.
func (v *view) fit(rec arrow.RecordBatch, schema *arrow.Schema) (arrow.RecordBatch, error) {
	n := int(rec.NumRows())
	now := &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	fields, cols := []arrow.Field{}, []arrow.Array{}
	add := func(name string, a arrow.Array) {
		fields = append(fields, arrow.Field{Name: name, Type: a.DataType(), Nullable: true})
		cols = append(cols, a)
	}
	for i, f := range rec.Schema().Fields() {
		at, stored := store.Column(schema, f.Name)
		switch {
		case f.Name == feature.ColFeatureVersion, f.Name == feature.ColUpdatedAt, f.Name == feature.ColDeletedAt, !stored:
		case f.Name == feature.ColDataVersionByField:
			add(f.Name, rec.Column(i))
		case feature.IsSystemColumn(f.Name) && !arrow.TypeEqual(at.Type, f.Type):
		default:
			add(f.Name, rec.Column(i))
		}
	}
	add(feature.ColFeatureVersion, repeat(v.newVersion, n))
	times := array.NewTimestampBuilder(memory.DefaultAllocator, now)
	late := arrow.Timestamp(time.Now().Add(ahead).UnixMicro())
	for range n {
		times.Append(late)
	}
	add(feature.ColUpdatedAt, times.NewArray())
	add(feature.ColDeletedAt, array.MakeArrayOfNull(memory.DefaultAllocator, now, n))
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, int64(n)), nil
}

// ahead makes foretold rows the newest of their samples, whatever the clocks of those who wrote the others.
const ahead = 100 * 365 * 24 * time.Hour

// repeat is a column of one text.
func repeat(text string, n int) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for range n {
		b.Append(text)
	}
	return b.NewArray()
}
