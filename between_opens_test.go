package metaxy

import (
	"context"
	"maps"
	"sync"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A between is a store on which something happens while a run opens its tables: its own one is open, and before or after
// its parent's is.
type between struct {
	*store.Memory
	before  bool
	happens func()
	once    sync.Once
}

func (b *between) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	if key != "video" {
		return b.Memory.Snapshot(ctx, key)
	}
	if b.before {
		b.once.Do(b.happens)
	}
	snap, err := b.Memory.Snapshot(ctx, key)
	b.once.Do(b.happens)
	return snap, err
}

// TestBetweenTheOpensOfAResolve lets other writers come between the moments at which a run opens its tables, before and
// after it opens the parent's. No row is stored twice, and nothing is recorded as done that is not.
func TestBetweenTheOpensOfAResolve(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(*tables){
		"another run does all": func(ts *tables) { ts.mustRun(Options{}, ts.step("video/crop", cropper(nil))) },
		"another run does a part": func(ts *tables) {
			ts.mustRun(Options{Limit: 2, FlushRows: 1}, ts.step("video/crop", cropper(nil)))
		},
		"a sample of the parent changes": func(ts *tables) { ts.videos("v3", "b") },
		"the parent is rewritten":        func(ts *tables) { ts.videos("v3", "a", "b", "c", "d", "e") },
		"a sample of the parent goes":    func(ts *tables) { ts.remove("video", "c") },
		"the parent changes, and another run does it": func(ts *tables) {
			ts.videos("v3", "b", "f")
			ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
		},
		"another run does all, and the parent changes": func(ts *tables) {
			ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
			ts.videos("v3", "b", "f")
		},
	} {
		for when, before := range map[string]bool{"before": true, "after": false} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				ts := newTables(t, graph)
				ts.videos("v1", "a", "b", "c")
				ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
				ts.videos("v2", "a", "c", "d") // two stale, one new
				step := ts.step("video/crop", cropper(nil))
				step.Store = func(context.Context) (store.Store, error) {
					return borrowed{&between{Memory: ts.Memory, before: before, happens: func() { happens(ts) }}}, nil
				}
				ts.mustRun(Options{FlushRows: 2, BatchSize: 1, DeleteOrphaned: true}, step)
				ts.oncePerVersion()
				ts.settled() // fails if what is recorded is not so
				ts.mustRun(Options{DeleteOrphaned: true}, ts.step("video/crop", cropper(nil)))
				ts.oncePerVersion()
				ts.upToDate()
			})
		}
	}
}

// oncePerVersion checks that no sample has two rows of one version.
func (ts *tables) oncePerVersion() {
	ts.t.Helper()
	for row, n := range ts.versions("video/crop", engine.ReadOptions{AllSamples: true}) {
		if n != 1 {
			ts.t.Errorf("%s is stored %d times", row, n)
		}
	}
}

// upToDate checks that each crop has the version of its video, and that there is nothing to do.
func (ts *tables) upToDate() {
	ts.t.Helper()
	inc, err := engine.Resolve(ts.t.Context(), ts, ts.lookup("video/crop"), engine.Options{StaleIf: []string{"id = 'nobody'"}})
	if err != nil {
		ts.t.Fatal(err)
	}
	for _, status := range []engine.Status{engine.New, engine.Stale, engine.Orphaned} {
		if n := inc.Count(status); n != 0 {
			ts.t.Errorf("%d samples are %s after an undisturbed run", n, status)
		}
	}
	videos, crops := map[string]int{}, map[string]int{}
	for _, id := range ts.rows("video", "id") {
		videos[id]++
	}
	for _, id := range ts.rows("video/crop", "id") {
		crops[id]++
	}
	if !maps.Equal(videos, crops) {
		ts.t.Errorf("the videos are %v, the crops %v", videos, crops)
	}
}

// versions counts the live rows of a feature by id and version.
func (ts *tables) versions(key feature.Key, o engine.ReadOptions) map[string]int {
	ts.t.Helper()
	snap, err := ts.Snapshot(ts.t.Context(), key)
	if err != nil {
		ts.t.Fatal(err)
	}
	out := map[string]int{}
	for rec, err := range engine.Read(ts.t.Context(), snap, ts.lookup(key), o) {
		if err != nil {
			ts.t.Fatal(err)
		}
		for i := range int(rec.NumRows()) {
			out[textAt(column(rec, "id"), i)+" "+textAt(column(rec, feature.ColProvenance), i)]++
		}
	}
	return out
}
