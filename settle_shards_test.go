package metaxy

import (
	"context"
	"errors"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// shardRuns computes the crops in two shards, one after the other; what fails in one is tolerated.
func (ts *tables) shardRuns(s Step) {
	ts.t.Helper()
	for i := range 2 {
		ts.mustRun(Options{Shard: Shard{i, 2}, FlushRows: 1_000_000, BatchSize: 50_000, MaxFailed: Tolerance{Count: 99}}, s)
	}
}

// The report after several shards records what none of them could: that nothing is left to do, and the digest.
func TestReportAfterShardsSettles(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("v1", numbered(110_000)...)
	step := ts.step("video/crop", cropper(nil))
	ts.shardRuns(step)
	if ts.settled() {
		t.Fatal("a shard has recorded what it cannot know")
	}
	report := ts.mustRun(Options{ReportOnly: true}, step)
	if !ts.settled() {
		t.Error("the report has recorded nothing")
	}
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if report.Rows != 110_000 || report.New+report.Stale+report.Processed != 0 {
		t.Errorf("reported %+v", report)
	}
	ts.mustRun(Options{ReportOnly: true}, step)
	ts.shardRuns(step)
	if again, err := ts.Snapshot(t.Context(), "video/crop"); err != nil || again.Version() != snap.Version() {
		t.Errorf("runs with nothing to do have made version %d of %d, %v", again.Version(), snap.Version(), err)
	}
	ts.videos("v2", "v0003")
	if ts.settled() {
		t.Error("a change of the parent goes unnoticed")
	}
}

// A report records nothing where something is left, or where somebody commits while it looks.
func TestReportThatDoesNotSettle(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(ts *tables, report Step) Step{
		"a failed sample": func(ts *tables, report Step) Step {
			ts.shardRuns(ts.step("video/crop", cropper(failing("v0007"))))
			return report
		},
		"a shard that did not run": func(ts *tables, report Step) Step {
			ts.mustRun(Options{Shard: Shard{0, 2}}, ts.step("video/crop", cropper(nil)))
			return report
		},
		"an orphan": func(ts *tables, report Step) Step {
			ts.shardRuns(ts.step("video/crop", cropper(nil)))
			ts.remove("video", "v0003")
			return report
		},
		"a commit meanwhile": func(ts *tables, report Step) Step {
			ts.shardRuns(ts.step("video/crop", cropper(nil)))
			return ts.watched(report, func(key feature.Key) {
				if key == "video" {
					ts.put("video/crop", `{"id":"other","crop":"x","metaxy_provenance_by_field":{"default":"1"}}`)
				}
			})
		},
		"a commit while it records": func(ts *tables, report Step) Step {
			ts.shardRuns(ts.step("video/crop", cropper(nil)))
			once := false
			spied := ts.spied(nil, func(store.Write) error {
				if !once {
					once = true
					ts.put("video/crop", `{"id":"other","crop":"x","metaxy_provenance_by_field":{"default":"1"}}`)
				}
				return nil
			})
			report.Store = spied.Store
			return report
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("v1", numbered(110_000)...)
			ts.mustRun(Options{ReportOnly: true}, do(ts, ts.step("video/crop", nil)))
			if ts.settled() {
				t.Error("it is recorded that nothing is left to do")
			}
		})
	}
}

// The failures of several shards are told together, until a whole run has the word.
func TestFailuresOfShardsAddUp(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(40)...)
	ts.shardRuns(ts.step("video/crop", cropper(func(context.Context, string) error { return errBroken })))
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if !errors.Is(err, store.ErrNoTable) {
		t.Fatalf("a table of nothing: %v, %v", snap, err)
	}
	bad := map[string]error{}
	for _, id := range numbered(40)[:7] {
		bad[id] = errBroken
	}
	ts.shardRuns(ts.step("video/crop", cropper(func(_ context.Context, id string) error { return bad[id] })))
	wantFailedMark(t, ts, 7)
	delete(bad, "v0003")
	_, err = ts.run(Options{}, ts.step("video/crop", cropper(func(_ context.Context, id string) error { return bad[id] })))
	if err == nil {
		t.Error("failures are not told")
	}
	wantFailedMark(t, ts, 6)
	ts.shardRuns(ts.step("video/crop", cropper(nil)))
	wantFailedMark(t, ts, 0)
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	wantFailedMark(t, ts, 0)
}

// A whole run that repairs what shards have failed records both in its last commit.
func TestWholeRunAfterFailedShardsSettles(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(40)...)
	ts.shardRuns(ts.step("video/crop", cropper(failing("v0003", "v0030"))))
	wantFailedMark(t, ts, 2)
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	wantFailedMark(t, ts, 0)
	if !ts.settled() {
		t.Error("the word on failures has ended what was recorded with the last rows")
	}
}

// A shard reads the whole table only if nobody else reports it.
func TestShardsLeaveTheTableToTheReport(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, extras string
		shard        Shard
		version      bool
	}{
		{"a lone shard", `{}`, Shard{0, 2}, true},
		{"a shard before a report", `{"report_follows":true}`, Shard{0, 2}, false},
		{"a whole run", `{"report_follows":true}`, Shard{0, 1}, true},
	} {
		ts := newTables(t, graph)
		messages := ts.attach(asset("video/crop", c.extras))
		ts.videos("1", numbered(20)...)
		r := ts.mustRun(Options{Shard: c.shard}, ts.step("video/crop", cropper(nil)))
		got := sent(t, messages(), pipes.MethodMaterialize)
		if len(got) != 1 {
			t.Fatalf("%s: %d materializations", c.name, len(got))
		}
		if (got[0]["data_version"] != nil) != c.version || (r.DataVersion != "") != c.version {
			t.Errorf("%s reports data version %v, %q", c.name, got[0]["data_version"], r.DataVersion)
		}
		metadata := got[0]["metadata"].(map[string]any)
		if _, counted := metadata["dagster/row_count"]; counted != c.version || metadata["metaxy/processed"] == nil {
			t.Errorf("%s reports %v", c.name, metadata)
		}
	}
	ts := newTables(t, graph)
	ts.videos("1", numbered(20)...)
	if r := ts.mustRun(Options{Shard: Shard{0, 2}}, ts.step("video/crop", cropper(nil))); r.DataVersion != "" || r.Processed == 0 {
		t.Errorf("a shard without Dagster says %+v", r)
	}
	whole := ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := engine.DataVersion(t.Context(), snap, ts.lookup("video/crop")); err != nil || d.Version != whole.DataVersion {
		t.Errorf("a whole run says %q, the table %q, %v", whole.DataVersion, d.Version, err)
	}
}
