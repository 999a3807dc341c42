package metaxy

import (
	"context"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A summary is what a table holds after a run.
type summary struct {
	whole  engine.Digest
	part   engine.Digest // of the run's partition; else the whole
	parted bool          // the run has a partition, and the table's rows can be told apart by it
	inRun  int64         // rows that this Dagster run has written, also in an earlier attempt
	newest []store.RowRef
}

// summarize looks at the table, and of a partition only at its rows: the data version of a partition does not change because
// of another one. Without Dagster nobody asks for more than the whole.
func (j *job) summarize(ctx context.Context, snap store.Snapshot) (summary, error) {
	whole, err := engine.DataVersion(ctx, snap, j.f)
	s := summary{whole: whole, part: whole}
	if err != nil || j.asset == "" {
		return s, err
	}
	var part engine.Part
	if s.parted = j.part != nil && j.part.within(snap.Schema()); s.parted {
		part = engine.Part{Columns: j.part.columns, Keep: j.part.has}
		if s.part, err = engine.PartVersion(ctx, snap, j.f, part); err != nil {
			return s, err
		}
	}
	if s.newest, err = engine.Newest(ctx, snap, j.f, previewRows, part); err != nil {
		return s, err
	}
	if j.count.processed.Load() > 0 || j.o.ReportOnly || j.session.Data().RetryNumber > 0 {
		s.inRun, err = j.writtenInRun(ctx, snap)
	}
	return s, err
}

// writtenInRun counts the live rows that carry the run's id.
func (j *job) writtenInRun(ctx context.Context, snap store.Snapshot) (int64, error) {
	if _, ok := store.Column(snap.Schema(), feature.ColMaterializationID); !ok {
		return 0, nil
	}
	q := store.Query{Columns: []string{feature.ColMaterializationID}, Where: []store.Equal{
		{Column: feature.ColMaterializationID, Value: j.materialization},
		{Column: feature.ColFeatureVersion, Value: j.f.Version()},
	}}
	if _, ok := store.Column(snap.Schema(), feature.ColDeletedAt); ok {
		q.Columns = append(q.Columns, feature.ColDeletedAt)
	}
	var n int64
	for b, err := range snap.Scan(ctx, q) {
		if err != nil {
			return 0, err
		}
		n += b.NumRows()
		if deleted := column(b.RecordBatch, feature.ColDeletedAt); deleted != nil {
			n -= b.NumRows() - int64(deleted.NullN())
		}
	}
	return n, nil
}
