package metaxy

import (
	"context"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/internal/machine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// tidy merges the small files of the table when there are many. Everything is done and told before, so that nothing can fail
// by it; of several shards the first one does it.
func (j *job) tidy(ctx context.Context) {
	if j.o.NoOptimize || j.o.DryRun || j.o.Shard.Index > 0 {
		return
	}
	var o store.Optimized
	var err error
	machine.Sparing(func() {
		o, err = store.Tidy(ctx, j.store, j.f.Key(), store.Optimization{
			SortBy: j.f.Spec().IDColumns, Marks: engine.CarriedMarks, Info: j.info(),
		})
	})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		j.log.Warn("the table's small files are not merged; the next run tries again", "feature", j.f.Key(), "error", err)
	case o.Removed > 0:
		j.log.Info("small files are merged", "feature", j.f.Key(), "files_before", o.Removed, "files_after", o.Added, "rows", o.Rows)
	}
}
