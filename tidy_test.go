package metaxy

import (
	"context"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// TestRunTidies: a run of many small commits leaves few files, and its record that nothing is left to do.
func TestRunTidies(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"by itself": {FlushRows: 1, BatchSize: 1}, "forbidden": {FlushRows: 1, BatchSize: 1, NoOptimize: true},
		"shard": {FlushRows: 1, BatchSize: 1, Shard: Shard{Index: 1, Count: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("1", numbered(80)...)
			files, err := s3parquet.Open(t.Context(), t.TempDir(), s3parquet.Options{})
			if err != nil {
				t.Fatal(err)
			}
			step := ts.step("video/crop", cropper(nil))
			step.Store = func(context.Context) (store.Store, error) {
				return borrowed{store.WithFallback(files, ts.Memory)}, nil
			}
			r := ts.mustRun(o, step)
			snap, err := files.Snapshot(t.Context(), "video/crop")
			if err != nil {
				t.Fatal(err)
			}
			if n, few := snap.State().Files, name == "by itself"; few != (n < 20) || !few && int64(n) != r.Processed {
				t.Errorf("%d commits leave %d files", r.Processed, n)
			}
			if v := snap.Marks()["metaxy_pipes.settled.version"]; name != "shard" && v != snap.Version() {
				t.Errorf("that nothing is left to do is recorded for version %d of %d", v, snap.Version())
			}
			if r := ts.mustRun(o, step); r.New+r.Stale+r.Orphaned != 0 {
				t.Errorf("the next run finds %s", counts(r))
			}
		})
	}
}
