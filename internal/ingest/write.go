package ingest

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// write appends the new and stale samples, and the tombstones of those to be removed, in one commit.
func (o Options) write(ctx context.Context, inc *engine.Increment, at pinned) error {
	stamp := engine.Stamp{Now: o.Now(), Hashing: o.Hashing, ProjectVersion: o.ProjectVersion, MaterializationID: o.MaterializationID,
		Replaced: inc.Replaced()}
	w := &writer{options: o, inc: inc, stamp: stamp}
	target, err := w.schema(at.schema())
	if err != nil {
		return err
	}
	if err := w.load(ctx); err != nil {
		return err
	}
	order, sorted := w.order(o.Feature.Spec().IDColumns)
	_, err = o.Store.Append(ctx, o.Feature.Key(), store.Write{
		Rows:       w.rows(order, target),
		SortedBy:   sorted,
		Properties: o.Hashing.Properties(),
		Expect:     &at.version,
		Info:       map[string]string{"operation": "ingest"},
	})
	return err
}

// loadRows is how many rows a batch in memory has. Each batch gives rows to nearly every batch that is written.
const loadRows = 64 << 10

// A writer turns an increment into the rows of one commit.
type writer struct {
	options Options
	inc     *engine.Increment
	stamp   engine.Stamp

	batches  []arrow.RecordBatch // what will be written, as the increment has it
	statuses []engine.Status     // of the batches
}

// schema is the columns of the table with those that the rows add.
func (w *writer) schema(table *arrow.Schema) (*arrow.Schema, error) {
	target := table
	for _, s := range []engine.Status{engine.New, engine.Stale, engine.Orphaned} {
		if w.inc.Count(s) == 0 || s == engine.Orphaned && !w.options.Prune {
			continue
		}
		none, err := w.seal(s, empty(w.inc.Schema(s)))
		if err != nil {
			return nil, err
		}
		add, err := store.StoredSchema(none.Schema())
		if err != nil {
			return nil, err
		}
		if target == nil {
			target = add
		} else if target, err = store.MergeSchema(target, add); err != nil {
			return nil, err
		}
	}
	return target, nil
}

func empty(schema *arrow.Schema) arrow.RecordBatch {
	arrays := make([]arrow.Array, schema.NumFields())
	for i, f := range schema.Fields() {
		arrays[i] = array.NewBuilder(memory.DefaultAllocator, f.Type).NewArray()
	}
	return array.NewRecordBatch(schema, arrays, 0)
}

func (w *writer) seal(s engine.Status, rec arrow.RecordBatch) (arrow.RecordBatch, error) {
	if s == engine.Orphaned {
		return engine.Tombstones(w.options.Feature, rec, w.stamp)
	}
	return engine.Seal(w.options.Feature, rec, w.stamp)
}

// load reads the samples that will be written.
func (w *writer) load(ctx context.Context) error {
	for _, s := range []engine.Status{engine.New, engine.Stale, engine.Orphaned} {
		if w.inc.Count(s) == 0 || s == engine.Orphaned && !w.options.Prune {
			continue
		}
		for rec, err := range w.inc.Batches(ctx, s, nil, loadRows) {
			if err != nil {
				return err
			}
			w.batches, w.statuses = append(w.batches, rec), append(w.statuses, s)
		}
	}
	return nil
}

// order is that of the ids, and the columns that declare it; where ids have no declared order, the rows stay as they are.
func (w *writer) order(ids []string) ([]store.RowAt, []string) {
	if order, ok := store.SortOrder(w.batches, ids); ok {
		return order, ids
	}
	order, _ := store.SortOrder(w.batches, nil)
	return order, nil
}

// rows yields the sealed rows in the given order.
func (w *writer) rows(order []store.RowAt, target *arrow.Schema) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for chunk := range slices.Chunk(order, batchRows) {
			rec, err := w.gather(chunk, target)
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// gather seals some rows. They are taken batch by batch and then brought into their order.
func (w *writer) gather(order []store.RowAt, target *arrow.Schema) (arrow.RecordBatch, error) {
	rows := make([][]int, len(w.batches))
	for _, at := range order {
		rows[at.Batch] = append(rows[at.Batch], int(at.Row))
	}
	var parts []arrow.RecordBatch
	next := make([]int, len(w.batches)) // where the batch's next row is when the parts are joined
	joined := 0
	for b := range w.batches {
		if next[b] = joined; len(rows[b]) == 0 {
			continue
		}
		part, err := store.Take(w.batches[b], rows[b])
		if err == nil {
			part, err = w.seal(w.statuses[b], part)
		}
		if err == nil {
			part, err = store.Conform(part, target)
		}
		if err != nil {
			return nil, err
		}
		parts, joined = append(parts, part), joined+len(rows[b])
	}
	rec, err := join(parts)
	if err != nil || len(parts) == 1 {
		return rec, err
	}
	places := make([]int, len(order))
	for i, at := range order {
		places[i] = next[at.Batch]
		next[at.Batch]++
	}
	return store.Take(rec, places)
}

// join puts batches with the same columns one after the other.
func join(parts []arrow.RecordBatch) (arrow.RecordBatch, error) {
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
