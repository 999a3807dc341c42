package engine

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ReadOptions says which rows Read yields. The zero value is the current samples with all columns.
type ReadOptions struct {
	// Columns are the columns to return, in this order; nil means all.
	Columns []string
	// AllSamples yields every row of a sample; false only the newest.
	AllSamples bool
	// AllFeatureVersions yields rows of every feature version; false only those of the feature's own.
	AllFeatureVersions bool
	// FeatureVersion narrows AllFeatureVersions, without which it is an error, to one version; "" does not.
	FeatureVersion string
	// Filters leave out the rows for which any of these conditions does not hold; see package filter. They see the newest
	// row of a sample, so that an older one never takes its place. Nil leaves out none.
	Filters []string
	// IncludeDeleted yields soft-deleted samples too; false leaves them out.
	IncludeDeleted bool
}

// Read yields the rows of a feature's table. The newest row of a sample decides whether it is deleted; of its other
// rows AllSamples leaves out only those that are deletions themselves.
func Read(
	ctx context.Context, snap store.Snapshot, f *feature.Feature, o ReadOptions,
) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		r, err := newReading(snap, f, o)
		if err != nil {
			yield(nil, err)
			return
		}
		rows := r.newest(ctx)
		if o.AllSamples {
			rows = r.history(ctx)
		}
		for rec, err := range rows {
			if err != nil {
				yield(nil, fmt.Errorf("read %q: %w", f.Key(), err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
	}
}

// ReadSchema is the schema of the batches that Read yields: the id columns, then the others in table order, unless
// o.Columns says otherwise.
func ReadSchema(snap store.Snapshot, f *feature.Feature, o ReadOptions) (*arrow.Schema, error) {
	r, err := newReading(snap, f, o)
	if err != nil {
		return nil, err
	}
	return r.frame.schema, nil
}

// A reading is a Read under way.
type reading struct {
	options ReadOptions
	frame   frame
	scan    tableScan
}

func newReading(snap store.Snapshot, f *feature.Feature, o ReadOptions) (*reading, error) {
	r := &reading{options: o, scan: tableScan{key: f.Key(), snap: snap, version: f.Version()}}
	switch {
	case o.AllFeatureVersions:
		r.scan.version = o.FeatureVersion
	case o.FeatureVersion != "":
		return nil, fmt.Errorf("read %q: %w: a feature version can be chosen only when all feature versions are read",
			f.Key(), ErrPlan)
	}
	for i, id := range idColumns(f) {
		if _, ok := store.Column(snap.Schema(), id); !ok && !o.AllSamples {
			return nil, fmt.Errorf("read %q: %w: the table has no column %q, which the feature declares as an id",
				f.Key(), ErrPlan, id)
		}
		r.scan.keys, r.scan.ids = append(r.scan.keys, id), append(r.scan.ids, i)
	}
	name, columns := fmt.Sprintf("the table of %q", f.Key()), tableColumns(snap.Schema())
	var err error
	if r.scan.filters, err = bindConditions("filter", name, o.Filters, columns); err != nil {
		return nil, fmt.Errorf("read %q: %w", f.Key(), err)
	}
	all := storedFrame(snap, idColumns(f))
	if r.frame, err = all.pick(o.Columns); err != nil {
		return nil, fmt.Errorf("read %q: %w", f.Key(), err)
	}
	return r, nil
}

// Located is rows of a table and where they are.
type Located struct {
	arrow.RecordBatch
	// Refs are the references to the rows, in the snapshot that they were read from.
	Refs []store.RowRef
}

// Locate yields the current samples of a feature's table with these columns, as Read does, and where their rows are.
func Locate(ctx context.Context, snap store.Snapshot, f *feature.Feature, columns []string) iter.Seq2[Located, error] {
	return func(yield func(Located, error) bool) {
		r, err := newReading(snap, f, ReadOptions{Columns: columns})
		if err != nil {
			yield(Located{}, err)
			return
		}
		for rows, err := range r.located(ctx) {
			if err != nil {
				yield(Located{}, fmt.Errorf("read %q: %w", f.Key(), err))
				return
			}
			if !yield(rows, nil) {
				return
			}
		}
	}
}

// newest yields the newest row of each sample, in the order in which the rows were written.
func (r *reading) newest(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for rows, err := range r.located(ctx) {
			if !yield(rows.RecordBatch, err) {
				return
			}
		}
	}
}

// located is newest with the places of the rows.
func (r *reading) located(ctx context.Context) iter.Seq2[Located, error] {
	return func(yield func(Located, error) bool) {
		t, err := r.scan.load(ctx)
		if err != nil {
			yield(Located{}, err)
			return
		}
		var refs []store.RowRef
		for e, p := range t.rows {
			if !p.filtered() && (r.options.IncludeDeleted || !p.deleted()) {
				refs = append(refs, t.ref(uint32(e)))
			}
		}
		slices.Sort(refs)
		reader := frameReader{frame: r.frame, sources: []fetcher{r.scan.snap}}
		for n := reader.firstChunk(); len(refs) > 0; {
			chunk := refs[:min(n, len(refs))]
			rec, err := reader.read(ctx, rowSet{refs: [][]store.RowRef{chunk}})
			if !yield(Located{rec, chunk}, err) || err != nil {
				return
			}
			refs, n = refs[len(chunk):], nextChunk(len(chunk), rec)
		}
	}
}

// history yields every row.
func (r *reading) history(ctx context.Context) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		q := store.Query{Columns: fieldNames(r.frame.schema)}
		if _, ok := store.Column(r.scan.snap.Schema(), feature.ColDeletedAt); ok {
			q.Columns = append(q.Columns, feature.ColDeletedAt)
		}
		q.Columns = distinct(append(q.Columns, r.scan.filters.columns()...))
		if r.scan.version != "" {
			q.Where = []store.Equal{{Column: feature.ColFeatureVersion, Value: r.scan.version}}
		}
		for b, err := range r.scan.snap.Scan(ctx, q) {
			var rec arrow.RecordBatch
			if err == nil {
				rec, err = r.live(b.RecordBatch)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if rec.NumRows() > 0 && !yield(rec, nil) {
				return
			}
		}
	}
}

// live leaves out deletions, unless they are wanted, what the filters leave out, and columns that are not wanted.
func (r *reading) live(rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	var rows []int
	deleted := columnOf(rec, feature.ColDeletedAt)
	passes, err := r.scan.filters.all(rec)
	if err != nil {
		return nil, err
	}
	for i := range int(rec.NumRows()) {
		if passes.isSet(i) && (r.options.IncludeDeleted || deleted == nil || deleted.IsNull(i)) {
			rows = append(rows, i)
		}
	}
	cols := make([]arrow.Array, r.frame.schema.NumFields())
	for i, f := range r.frame.schema.Fields() {
		cols[i] = columnOf(rec, f.Name)
		if len(rows) < int(rec.NumRows()) {
			var err error
			if cols[i], err = store.TakeArray(cols[i], rows); err != nil {
				return nil, err
			}
		}
	}
	return array.NewRecordBatch(r.frame.schema, cols, int64(len(rows))), nil
}
