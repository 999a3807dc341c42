package metaxy

import (
	"context"
	"errors"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// settled reports whether the tables record that video/crop has nothing left to do, and checks that this is true.
func (ts *tables) settled() bool {
	ts.t.Helper()
	inc, err := engine.Resolve(context.Background(), ts, ts.lookup("video/crop"), engine.Options{})
	if err != nil {
		ts.t.Fatal(err)
	}
	whole, err := engine.Resolve(context.Background(), ts, ts.lookup("video/crop"), engine.Options{StaleIf: []string{"id = 'nobody'"}})
	if err != nil {
		ts.t.Fatal(err)
	}
	if n := whole.Count(engine.New) + whole.Count(engine.Stale) + whole.Count(engine.Orphaned); inc.Settled() && n > 0 {
		ts.t.Errorf("the table is recorded as settled, but %d samples are left", n)
	}
	return inc.Settled()
}

// A run that leaves nothing to do says so in the commit of its last rows.
func TestLastCommitSettles(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("v1", "a", "b", "c")
	ts.mustRun(Options{FlushRows: 2, BatchSize: 1, Concurrency: 1}, ts.step("video/crop", cropper(nil)))
	if !ts.settled() {
		t.Fatal("a whole run is not recorded")
	}
	snap, err := ts.Snapshot(context.Background(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if snap.Version() != 1 {
		t.Errorf("two commits of rows make version %d, want 1: the record is in a commit of its own", snap.Version())
	}
	wantCounts(t, ts.mustRun(Options{}, ts.step("video/crop", cropper(nil))), "new=0 stale=0 orphaned=0 processed=0 failed=0")
	ts.videos("v2", "b")
	if ts.settled() {
		t.Error("a change of the parent goes unnoticed")
	}
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	if !ts.settled() {
		t.Error("the run after a change is not recorded")
	}
}

// A run that leaves something, or does not know whether it does, records nothing.
func TestWhatDoesNotSettle(t *testing.T) {
	t.Parallel()
	cases := map[string]func(ts *tables){
		"a failed sample": func(ts *tables) {
			_, err := ts.run(Options{MaxFailed: Tolerance{Count: 9}}, ts.step("video/crop", cropper(func(_ context.Context, id string) error {
				if id == "b" {
					return errors.New("broken")
				}
				return nil
			})))
			if err != nil {
				ts.t.Fatal(err)
			}
		},
		"a limit": func(ts *tables) { ts.mustRun(Options{Limit: 2}, ts.step("video/crop", cropper(nil))) },
		"a shard": func(ts *tables) {
			for i := range 2 {
				ts.mustRun(Options{Shard: Shard{i, 2}}, ts.step("video/crop", cropper(nil)))
			}
		},
		"an orphan": func(ts *tables) {
			ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
			ts.remove("video", "c")
			ts.videos("v2", "a")
			ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
		},
		"another writer": func(ts *tables) {
			once := false
			ts.mustRun(Options{FlushRows: 1, Concurrency: 1}, ts.spied(cropper(nil), func(store.Write) error {
				if !once {
					once = true
					ts.put("video/crop", `{"id":"other","crop":"x","metaxy_provenance_by_field":{"default":"1"}}`)
				}
				return nil
			}))
		},
	}
	for name, do := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("v1", "a", "b", "c")
			do(ts)
			if ts.settled() {
				t.Error("it is recorded that nothing is left to do")
			}
		})
	}
}

// A run over many samples records what the next one would have to read the table for, and that one reads nothing.
func TestLargeTablesRecordTheirDigest(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("v1", numbered(200_000)...)
	step := ts.step("video/crop", cropper(nil))
	first := ts.mustRun(Options{FlushRows: 1_000_000, BatchSize: 50_000}, step)
	snap, err := ts.Snapshot(context.Background(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := engine.DataVersion(context.Background(), snap, ts.lookup("video/crop")); err != nil || d.PaysToRecord() {
		t.Errorf("the digest of a large table is not recorded, %v", err)
	}
	if !ts.settled() {
		t.Error("the commit of the digest ended what the one before has recorded")
	}
	second := ts.mustRun(Options{}, step)
	if second.DataVersion != first.DataVersion || second.Rows != 200_000 || second.Processed != 0 {
		t.Errorf("the second run says %+v, the first %+v", second, first)
	}
	if again, err := ts.Snapshot(context.Background(), "video/crop"); err != nil || again.Version() != snap.Version() {
		t.Errorf("a run with nothing to do has made version %d of %d, %v", again.Version(), snap.Version(), err)
	}
}
