package main

import (
	"bytes"
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/filter"
	"github.com/metaxy-pipes/metaxy-pipes/metadata"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func (r *request) resolve(ctx context.Context, s store.Store, f *feature.Feature, a *answer) error {
	o := engine.Options{
		Hashing: r.hashing(), Filters: r.Filters, GlobalFilters: r.GlobalFilters, TargetFilters: r.TargetFilters,
		StaleIf: r.StaleIf, SkipComparison: r.SkipComparison,
	}
	if r.Samples != nil {
		rows, err := decode(r.Samples)
		if err != nil {
			return err
		}
		o.Samples = batches(rows)
	}
	inc, err := engine.Resolve(ctx, s, f, o)
	if err != nil {
		return err
	}
	a.Unresolvable = inc.Unresolvable()
	a.Frames = map[string][]byte{}
	for _, status := range []engine.Status{engine.New, engine.Stale, engine.Orphaned} {
		if a.Frames[status.String()], err = encode(inc.Schema(status), inc.Batches(ctx, status, nil, 0)); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) read(ctx context.Context, s store.Store, f *feature.Feature, a *answer) error {
	snap, err := s.Snapshot(ctx, f.Key())
	if err != nil {
		return err
	}
	schema, err := engine.ReadSchema(snap, f, r.readOptions())
	if err != nil {
		return err
	}
	frame, err := encode(schema, engine.Read(ctx, snap, f, r.readOptions()))
	a.Frames = map[string][]byte{"read": frame}
	return err
}

func (r *request) compute(f *feature.Feature, a *answer) error {
	rows, err := decode(r.Rows)
	if err != nil {
		return err
	}
	for i, rec := range rows {
		if rows[i], err = engine.ComputeProvenance(f, rec, r.hashing()); err != nil {
			return err
		}
	}
	frame, err := encode(rows[0].Schema(), batches(rows))
	a.Frames = map[string][]byte{"compute": frame}
	return err
}

// match returns the rows for which the first condition of Where holds.
func (r *request) match(a *answer) error {
	rows, err := decode(r.Rows)
	if err != nil {
		return err
	}
	e, err := filter.Parse(r.Where[0])
	if err != nil {
		return err
	}
	stored, err := store.StoredSchema(rows[0].Schema())
	if err != nil {
		return err
	}
	rec, err := store.Conform(rows[0], stored)
	if err != nil {
		return err
	}
	passes, err := e.Match(rec)
	if err != nil {
		return err
	}
	var which []int
	for i, ok := range passes {
		if ok {
			which = append(which, i)
		}
	}
	found, err := store.Take(rec, which)
	if err != nil {
		return err
	}
	frame, err := encode(stored, batches([]arrow.RecordBatch{found}))
	a.Frames = map[string][]byte{"match": frame}
	return err
}

func (r *request) readOptions() engine.ReadOptions {
	return engine.ReadOptions{
		Columns: r.Columns, AllSamples: r.WithSampleHistory, AllFeatureVersions: r.WithFeatureHistory,
		FeatureVersion: r.FeatureVersion, Filters: r.Where, IncludeDeleted: r.IncludeSoftDeleted,
	}
}

func (r *request) table(s store.Store, g *feature.Graph, f *feature.Feature) *metadata.Table {
	return &metadata.Table{
		Store: s, Feature: f, Hashing: r.hashing(), ProjectVersion: g.ProjectVersion(project), MaterializationID: r.MaterializationID,
	}
}

func (r *request) write(ctx context.Context, s store.Store, g *feature.Graph, f *feature.Feature) error {
	rows, err := decode(r.Rows)
	if err != nil {
		return err
	}
	_, err = r.table(s, g, f).Write(ctx, batches(rows), metadata.WriteOptions{})
	return err
}

func (r *request) delete(ctx context.Context, s store.Store, g *feature.Graph, f *feature.Feature) error {
	_, err := r.table(s, g, f).Delete(ctx, metadata.DeleteOptions{
		Filters: r.Where, Hard: r.Hard, WithFeatureHistory: r.WithFeatureHistory, WithSampleHistory: r.WithSampleHistory,
	})
	return err
}

var mem = memory.DefaultAllocator

func decode(stream []byte) ([]arrow.RecordBatch, error) {
	in, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	var out []arrow.RecordBatch
	for in.Next() {
		rec := in.RecordBatch()
		rec.Retain()
		out = append(out, rec)
	}
	if len(out) == 0 && in.Err() == nil {
		out = append(out, array.NewRecordBatch(in.Schema(), empty(in.Schema()), 0))
	}
	return out, in.Err()
}

func empty(schema *arrow.Schema) []arrow.Array {
	arrays := make([]arrow.Array, schema.NumFields())
	for i, f := range schema.Fields() {
		arrays[i] = array.MakeArrayOfNull(mem, f.Type, 0)
	}
	return arrays
}

func encode(schema *arrow.Schema, rows iter.Seq2[arrow.RecordBatch, error]) ([]byte, error) {
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	for rec, err := range rows {
		if err != nil {
			return nil, err
		}
		if err := w.Write(rec); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func batches(recs []arrow.RecordBatch) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		for _, rec := range recs {
			if !yield(rec, nil) {
				return
			}
		}
	}
}
