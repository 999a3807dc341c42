package metaxy

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// deleteOrphaned soft-deletes the rows of samples that are no longer expected, all in one commit. A sample that another
// run has written since the increment was resolved stays.
func (j *job) deleteOrphaned(ctx context.Context, inc *engine.Increment) error {
	if inc.Count(engine.Orphaned) == 0 || !j.part.within(inc.Schema(engine.Orphaned)) {
		return nil
	}
	var left int64 // of the limit; negative without one
	return j.bury(ctx, "delete orphaned samples", func(store.Snapshot) iter.Seq2[arrow.RecordBatch, error] {
		left = -1
		if j.o.Limit > 0 {
			left = max(0, j.o.Limit-j.count.processed.Load()-j.count.failed.Load())
		}
		return inc.Batches(ctx, engine.Orphaned, nil, fetchRows)
	}, func(key string, rec arrow.RecordBatch, row int) bool {
		if left == 0 || j.claims.touched(key, rec, row) || !j.part.has(rec, row) {
			return false
		}
		left--
		return true
	})
}

// bury appends the soft deletion of those stored rows that which chooses.
func (j *job) bury(ctx context.Context, what string, stored func(store.Snapshot) iter.Seq2[arrow.RecordBatch, error],
	which func(key string, rec arrow.RecordBatch, row int) bool) error {
	rows := int64(0)
	_, err := j.onto(ctx, func(snap store.Snapshot) (addition, error) {
		if snap == nil {
			return addition{}, nil
		}
		return addition{rows: func(yield func(arrow.RecordBatch, error) bool) {
			rows = 0
			for rec, err := range stored(snap) {
				if err == nil {
					rec, err = j.tombstones(rec, which)
				}
				if rec != nil {
					rows += rec.NumRows()
				}
				if (rec != nil || err != nil) && !yield(rec, err) || err != nil {
					return
				}
			}
		}}, nil
	})
	if err != nil {
		return fmt.Errorf("%s of %s: %w", what, j.f.Key(), err)
	}
	j.count.deleted.Add(rows)
	return nil
}

// tombstones are for the chosen rows of this run's shard; nil if there is none.
func (j *job) tombstones(rec arrow.RecordBatch, which func(string, arrow.RecordBatch, int) bool) (arrow.RecordBatch, error) {
	keys, err := samplekey.New(rec, j.rel.keys)
	if err != nil {
		return nil, err
	}
	members, err := j.o.Shard.members(rec, j.claims.division)
	if err != nil {
		return nil, err
	}
	var rows []int
	for row := range int(rec.NumRows()) {
		if key, ok := keys.At(row); ok && members.Has(key, row) && which(key, rec, row) {
			rows = append(rows, row)
		}
	}
	if rows == nil {
		return nil, nil
	}
	if rec, err = store.Take(rec, rows); err != nil {
		return nil, err
	}
	return engine.Tombstones(j.f, rec, j.stamp())
}
