package metaxy

import (
	"context"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// children are the rows that the stale samples of an expanding feature have. When such a sample is computed again, those
// that it has no more are deleted in the commit of its new ones: were it later, the sample would count as stale until
// then, and a run that ends before would have computed it in vain.
type children struct {
	inc  *engine.Increment
	snap store.Snapshot // that refs are of; nil until they are needed
	refs map[string][]store.RowRef
}

// load finds the rows. They do not change in the course of the run, or another run has touched the sample.
func (c *children) load(ctx context.Context, j *job, snap store.Snapshot) error {
	refs := map[string][]store.RowRef{}
	for rec, err := range c.inc.Batches(ctx, engine.Stale, j.rel.keys, fetchRows) {
		if err != nil {
			return err
		}
		if err := eachKey(rec, j.rel.keys, func(_ int, key string) { refs[key] = nil }); err != nil {
			return err
		}
	}
	for rows, err := range engine.Locate(ctx, snap, j.f, j.rel.keys) {
		if err != nil {
			return err
		}
		err := eachKey(rows.RecordBatch, j.rel.keys, func(row int, key string) {
			if known, stale := refs[key]; stale {
				refs[key] = append(known, rows.Refs[row])
			}
		})
		if err != nil {
			return err
		}
	}
	c.snap, c.refs = snap, refs
	return nil
}

// vanished returns the stored rows that the samples have no more, given their new ones; nil without any. Samples that
// another run has touched keep theirs: they are stale then, and the next run puts them right.
func (j *job) vanished(ctx context.Context, snap store.Snapshot, done []finished, now arrow.RecordBatch) (arrow.RecordBatch, error) {
	if !j.rel.expands || snap == nil {
		return nil, nil
	}
	done = slices.DeleteFunc(slices.Clone(done), func(f finished) bool { return f.status != engine.Stale })
	if len(done) == 0 {
		return nil, nil
	}
	if j.children.snap == nil {
		if err := j.children.load(ctx, j, snap); err != nil {
			return nil, fmt.Errorf("find the rows of stale samples: %w", err)
		}
	}
	var refs []store.RowRef
	for _, f := range done {
		refs = append(refs, j.children.refs[f.key]...)
	}
	if len(refs) == 0 {
		return nil, nil
	}
	slices.Sort(refs)
	stored, err := j.children.snap.Fetch(ctx, refs, nil)
	if err != nil {
		return nil, fmt.Errorf("read the rows of stale samples: %w", err)
	}
	still := map[string]bool{}
	if now != nil {
		if err := eachKey(now, j.f.Spec().IDColumns, func(_ int, id string) { still[id] = true }); err != nil {
			return nil, err
		}
	}
	return j.without(stored, still)
}

// without leaves out the rows that are still there, and those that another run has touched.
func (j *job) without(stored arrow.RecordBatch, still map[string]bool) (arrow.RecordBatch, error) {
	parents, err := samplekey.New(stored, j.rel.keys)
	if err != nil {
		return nil, err
	}
	var rows []int
	err = eachKey(stored, j.f.Spec().IDColumns, func(row int, id string) {
		if key, ok := parents.At(row); ok && !still[id] && !j.claims.touched(key, stored, row) {
			rows = append(rows, row)
		}
	})
	if err != nil || rows == nil {
		return nil, err
	}
	return store.Take(stored, rows)
}

// eachKey calls do with the key of each row that has one.
func eachKey(rec arrow.RecordBatch, columns []string, do func(row int, key string)) error {
	keys, err := samplekey.New(rec, columns)
	if err != nil {
		return err
	}
	for row := range int(rec.NumRows()) {
		if key, ok := keys.At(row); ok {
			do(row, key)
		}
	}
	return nil
}

// distinct refuses the samples that claim an id for two rows, or one that another sample has claimed before: only one
// of the rows would be seen.
func (r relation) distinct(f *feature.Feature, done []finished, rec arrow.RecordBatch) (kept []finished, refused []failedSample, err error) {
	taken, bad := map[string]bool{}, map[string]bool{}
	parents, err := samplekey.New(rec, r.keys)
	if err != nil {
		return nil, nil, err
	}
	err = eachKey(rec, f.Spec().IDColumns, func(row int, id string) {
		if taken[id] {
			key, _ := parents.At(row)
			bad[key] = true
		}
		taken[id] = true
	})
	if err != nil {
		return nil, nil, err
	}
	for _, s := range done {
		if bad[s.key] {
			refused = append(refused, failedSample{s.sample, errSameID})
		} else {
			kept = append(kept, s)
		}
	}
	return kept, refused, nil
}
