package forecast

import (
	"context"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A view is a table as it will be, or as it has to be looked at to find out. It implements store.Snapshot in full, so that
// no shortcut that a store offers leads around it.
type view struct {
	key        feature.Key
	base       store.Snapshot // what is stored; nil for no table
	oldVersion string         // rows of this feature version are shown as of the new one; "" shows none
	newVersion string
	forget     bool           // rows of the old version have no provenance, so that they are stale
	fill       []string       // rows of the old version have a version of data in each of these members
	patch      *patch         // nil changes nothing
	extra      store.Snapshot // further rows; nil for none

	fresh, stale int64 // samples that will be computed for the first time, and again
}

var _ store.Snapshot = (*view)(nil)

// extraFile is the first ordinal of the files with further rows.
const extraFile = 1 << 31

func (v *view) any() store.Snapshot {
	if v.base != nil {
		return v.base
	}
	return v.extra
}

// Version implements store.Snapshot. It is none that a table has.
func (v *view) Version() int64 { return -1 }

// Timestamp implements store.Snapshot.
func (v *view) Timestamp() time.Time { return v.any().Timestamp() }

// URI implements store.Snapshot.
func (v *view) URI() string { return v.any().URI() }

// Schema implements store.Snapshot.
func (v *view) Schema() *arrow.Schema { return v.any().Schema() }

// Properties implements store.Snapshot.
func (v *view) Properties() map[string]string { return v.any().Properties() }

// Marks implements store.Snapshot. What is noted about the table as it is says nothing about how it will be.
func (v *view) Marks() map[string]int64 { return nil }

// LastRemoval implements store.Snapshot: whoever knows earlier versions knows nothing of this one.
func (v *view) LastRemoval() int64 { return math.MaxInt64 }

// State implements store.Snapshot. It is none that a table has.
func (v *view) State() store.State { return store.State{Files: -1} }

// Since implements store.Snapshot: these rows were never recorded.
func (v *view) Since(context.Context, store.State, int64) ([]int, bool) { return nil, false }

// RowsHint implements store.Snapshot.
func (v *view) RowsHint() int64 { return v.sum(store.Snapshot.RowsHint) }

// BytesHint implements store.Snapshot.
func (v *view) BytesHint() int64 { return v.sum(store.Snapshot.BytesHint) }

func (v *view) sum(hint func(store.Snapshot) int64) int64 {
	n := int64(0)
	for _, s := range []store.Snapshot{v.base, v.extra} {
		if s != nil {
			n += hint(s)
		}
	}
	return n
}

// Scan implements store.Snapshot: the rows of the new version and of the old one, then the further rows.
func (v *view) Scan(ctx context.Context, q store.Query) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		q.After = nil
		if v.base != nil {
			for _, version := range []string{v.oldVersion, v.newVersion} {
				if version != "" && !v.scan(ctx, q, version, yield) {
					return
				}
			}
		}
		if v.extra == nil {
			return
		}
		for b, err := range v.extra.Scan(ctx, v.known(q)) {
			if err == nil {
				b.File += extraFile
				b.RecordBatch, err = widen(b.RecordBatch, q, v.Schema())
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// scan yields the stored rows of one version and reports whether to go on.
func (v *view) scan(
	ctx context.Context, q store.Query, version string, yield func(store.Batch, error) bool,
) bool {
	old := version == v.oldVersion
	wider := v.withKeys(q)
	wider.Where = slices.Clone(q.Where)
	wider.Where = slices.DeleteFunc(wider.Where, func(e store.Equal) bool { return e.Column == feature.ColFeatureVersion })
	wider.Where = append(wider.Where, store.Equal{Column: feature.ColFeatureVersion, Value: version})
	for b, err := range v.base.Scan(ctx, wider) {
		if err == nil {
			b.RecordBatch = pick(v.shown(b.RecordBatch, old), q.Columns)
		}
		if !yield(b, err) || err != nil {
			return false
		}
	}
	return true
}

// withKeys asks for the columns that the patch needs, too.
func (v *view) withKeys(q store.Query) store.Query {
	if v.patch.empty() || q.Columns == nil {
		return q
	}
	q.Columns = slices.Clone(q.Columns)
	for _, name := range v.patch.keys {
		if !slices.Contains(q.Columns, name) {
			q.Columns = append(q.Columns, name)
		}
	}
	return q
}

// shown are rows as the view has them.
func (v *view) shown(rec arrow.RecordBatch, old bool) arrow.RecordBatch {
	if old {
		rec = replace(rec, feature.ColFeatureVersion, func(a arrow.Array) arrow.Array { return repeat(v.newVersion, a.Len()) })
	}
	if old && v.forget {
		rec = replace(rec, feature.ColProvenance, func(a arrow.Array) arrow.Array {
			return array.MakeArrayOfNull(memory.DefaultAllocator, a.DataType(), a.Len())
		})
	}
	if old {
		rec = v.filled(rec)
	}
	if v.patch.empty() {
		return rec
	}
	return v.patch.apply(rec, old)
}

// filled are rows with versions in place of those that are not known.
func (v *view) filled(rec arrow.RecordBatch) arrow.RecordBatch {
	if v.fill == nil {
		return rec
	}
	return replace(rec, feature.ColDataVersionByField, func(a arrow.Array) arrow.Array { return filled(a, v.fill) })
}

// pick returns rows with only the named columns, nil meaning all.
func pick(rec arrow.RecordBatch, names []string) arrow.RecordBatch {
	if names == nil || len(names) == int(rec.NumCols()) {
		return rec
	}
	fields, cols := make([]arrow.Field, len(names)), make([]arrow.Array, len(names))
	for i, name := range names {
		at := rec.Schema().FieldIndices(name)[0]
		fields[i], cols[i] = rec.Schema().Field(at), rec.Column(at)
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows())
}

// known is a query without the columns that the further rows lack.
func (v *view) known(q store.Query) store.Query {
	if q.Columns == nil {
		return q
	}
	q.Columns = slices.DeleteFunc(slices.Clone(q.Columns), func(name string) bool {
		_, ok := store.Column(v.extra.Schema(), name)
		return !ok
	})
	if len(q.Columns) == 0 {
		q.Columns = []string{feature.ColFeatureVersion}
	}
	return q
}

// widen gives further rows the columns of a query that they lack, as nulls.
func widen(rec arrow.RecordBatch, q store.Query, table *arrow.Schema) (arrow.RecordBatch, error) {
	names := q.Columns
	if names == nil {
		for _, f := range table.Fields() {
			names = append(names, f.Name)
		}
	}
	fields, cols := make([]arrow.Field, len(names)), make([]arrow.Array, len(names))
	for i, name := range names {
		if at := rec.Schema().FieldIndices(name); len(at) > 0 {
			fields[i], cols[i] = rec.Schema().Field(at[0]), rec.Column(at[0])
			continue
		}
		f, ok := store.Column(table, name)
		if !ok {
			f = arrow.Field{Name: name, Type: arrow.BinaryTypes.String}
		}
		f.Nullable = true
		fields[i], cols[i] = f, array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, int(rec.NumRows()))
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, rec.NumRows()), nil
}

// Fetch implements store.Snapshot.
func (v *view) Fetch(ctx context.Context, rows []store.RowRef, columns []string) (arrow.RecordBatch, error) {
	var stored, further []store.RowRef
	order := make([]int, len(rows))
	for i, ref := range rows {
		if ref.File() < extraFile {
			order[i], stored = len(stored), append(stored, ref)
			continue
		}
		order[i], further = -1-len(further), append(further, store.MakeRowRef(ref.File()-extraFile, ref.Row()))
	}
	if len(further) == 0 {
		return v.fetch(ctx, stored, columns)
	}
	q := store.Query{Columns: columns}
	b, err := v.extra.Fetch(ctx, further, v.known(q).Columns)
	if err == nil {
		b, err = widen(b, q, v.Schema())
	}
	if err != nil || len(stored) == 0 {
		return b, err
	}
	a, err := v.fetch(ctx, stored, columns)
	if err != nil {
		return nil, err
	}
	return interleave(a, b, order)
}

// fetch reads stored rows.
func (v *view) fetch(ctx context.Context, rows []store.RowRef, columns []string) (arrow.RecordBatch, error) {
	rec, err := v.base.Fetch(ctx, rows, v.withKeys(store.Query{Columns: columns}).Columns)
	if err != nil {
		return nil, err
	}
	rec = v.filled(rec) // a row of the new version that lacks one is fetched by nobody
	if v.patch.empty() {
		return rec, nil
	}
	return pick(v.patch.apply(rec, false), columns), nil
}

// interleave puts rows of two batches into one order: n means row n of a, and -1-n row n of b.
func interleave(a, b arrow.RecordBatch, order []int) (arrow.RecordBatch, error) {
	at := make([]int, len(order))
	for i, n := range order {
		if at[i] = n; n < 0 {
			at[i] = int(a.NumRows()) - 1 - n
		}
	}
	b, err := store.Conform(b, a.Schema())
	if err != nil {
		return nil, err
	}
	cols := make([]arrow.Array, a.NumCols())
	for i := range cols {
		whole, err := array.Concatenate([]arrow.Array{a.Column(i), b.Column(i)}, memory.DefaultAllocator)
		if err == nil {
			cols[i], err = store.TakeArray(whole, at)
		}
		if err != nil {
			return nil, err
		}
	}
	return array.NewRecordBatch(a.Schema(), cols, int64(len(order))), nil
}
