package metaxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// sent returns the params of the messages with a method.
func sent(t *testing.T, messages []pipes.Message, method pipes.Method) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, m := range messages {
		if m.Method != method {
			continue
		}
		var p map[string]any
		if err := json.Unmarshal(m.Params, &p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// raw returns metadata as type:value.
func raw(metadata any, name string) string {
	v, ok := metadata.(map[string]any)[name].(map[string]any)
	if !ok {
		return "absent"
	}
	text, _ := json.Marshal(v["raw_value"])
	return fmt.Sprint(v["type"], ":", string(text))
}

func asset(key string, extras string) pipes.ContextData {
	return pipes.ContextData{RunID: "3f4c", AssetKeys: []string{key},
		Extras: map[string]json.RawMessage{"metaxy_pipes": json.RawMessage(extras)}}
}

func TestMaterialization(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("lake/crops", `{"features":{"video/crop":"lake/crops"},"checks":{"video/crop":""}}`))
	ts.videos("1", append(numbered(7), strings.Repeat("long", 100))...)
	r := ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	got := sent(t, messages(), pipes.MethodMaterialize)
	if len(got) != 1 || got[0]["asset_key"] != "lake/crops" || got[0]["data_version"] != r.DataVersion {
		t.Fatalf("materializations: %v", got)
	}
	f := ts.lookup("video/crop")
	for name, want := range map[string]string{
		"metaxy/feature": `text:"video/crop"`, "metaxy/feature_version": fmt.Sprintf("text:%q", f.Version()),
		"metaxy/code_version": fmt.Sprintf("text:%q", f.CodeVersion()), "metaxy/new": "int:8", "metaxy/stale": "int:0",
		"metaxy/orphaned": "int:0", "metaxy/processed": "int:8", "metaxy/failed": "int:0", "dagster/row_count": "int:8",
	} {
		if got := raw(got[0]["metadata"], name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for name, kind := range map[string]string{"dagster/uri": "text:", "dagster/table": "table:", "dagster/column_schema": "table_schema:",
		"metaxy/duration_seconds": "float:", "metaxy/samples_per_second": "float:"} {
		if got := raw(got[0]["metadata"], name); !strings.HasPrefix(got, kind) {
			t.Errorf("%s is %s, want %s", name, got, kind)
		}
	}
	if table := raw(got[0]["metadata"], "dagster/table"); strings.Count(table, `"crop":`) != previewRows || len(table) > 3000 {
		t.Errorf("preview: %s", table)
	}
	if rows := ts.rows("video/crop", "metaxy_materialization_id"); rows[0] != `{"metaxy_materialization_id":"3f4c"}` {
		t.Errorf("rows carry %s instead of the Dagster run", rows[0])
	}
	checks := sent(t, messages(), pipes.MethodCheck)
	if len(checks) != 1 || checks[0]["check_name"] != checkName || checks[0]["passed"] != true {
		t.Errorf("checks: %v", checks)
	}
	custom := sent(t, messages(), pipes.MethodCustom)[0]["payload"].(map[string]any)["metaxy_pipes"].(map[string]any)
	if custom["feature"] != "video/crop" || custom["asset_key"] != "lake/crops" || custom["processed"] != 8.0 || custom["rows"] != 8.0 || custom["error"] != nil {
		t.Errorf("custom message: %v", custom)
	}
}

// TestStorageIsReported: what a step has asked of its storage stands beside what it has done.
func TestStorageIsReported(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("video/crop", `{}`))
	ts.videos("1", "a", "b")
	files, err := s3parquet.Open(t.Context(), t.TempDir(), s3parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := ts.Snapshot(t.Context(), "video")
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range snap.Scan(t.Context(), store.Query{}) {
		if err == nil {
			_, err = files.Append(t.Context(), "video", store.Write{Rows: single(b.RecordBatch)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	before := files.Usage()
	step := ts.step("video/crop", cropper(nil))
	step.Store = func(context.Context) (store.Store, error) { return borrowed{files}, nil }
	r := ts.mustRun(Options{NoOptimize: true}, step) // which would come after the report
	all := files.Usage().Since(before)
	if r.Storage != all || all.Writes < 2 || all.Reads == 0 || all.Lists == 0 { // a data file and its commit
		t.Errorf("the result says %s, the store %s", r.Storage, all)
	}
	md := sent(t, messages(), pipes.MethodMaterialize)[0]["metadata"]
	if got, want := raw(md, "metaxy/storage_writes"), fmt.Sprint("int:", all.Writes); got != want {
		t.Errorf("metaxy/storage_writes is %s, want %s", got, want)
	}
}

// TestMaterializedAfterTheLastCommit: a materialization speaks of rows that are there.
func TestMaterializedAfterTheLastCommit(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("video/crop", `{}`))
	ts.videos("1", "a", "b")
	if _, err := ts.run(Options{MaxFailed: Tolerance{Count: 1}, FlushRows: 1}, ts.spied(cropper(failing("b")), nothing(func() {
		if n := len(sent(t, messages(), pipes.MethodMaterialize)); n != 0 {
			t.Error("materialized before the commit")
		}
	}))); err != nil {
		t.Fatal(err)
	}
	if n := len(sent(t, messages(), pipes.MethodMaterialize)); n != 1 {
		t.Errorf("%d materializations", n)
	}
	if n := len(sent(t, messages(), pipes.MethodCheck)); n != 0 {
		t.Errorf("%d checks were reported that the asset does not declare", n)
	}
}

// TestNothingToDoIsMaterialized also for a feature without a table.
// TestReportOnly checks that a run which only reports says of the table what a run that finds nothing to do says, and does
// nothing, although there is something to do.
func TestReportOnly(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", numbered(5)...)
	before := ts.mustRun(Options{Shard: Shard{0, 1}}, ts.step("video/crop", cropper(nil)))
	ts.videos("1", numbered(9)...)
	messages := ts.attach(asset("video/crop", `{"checks":{"video/crop":""}}`))
	r := ts.mustRun(Options{ReportOnly: true, DeleteOrphaned: true}, ts.step("video/crop", nil))
	if r.DataVersion != before.DataVersion || r.Rows != 5 || r.New != 0 || r.Processed != 0 {
		t.Errorf("reported %+v after %+v", r, before)
	}
	got := sent(t, messages(), pipes.MethodMaterialize)
	if len(got) != 1 || got[0]["data_version"] != before.DataVersion {
		t.Fatalf("materializations: %v", got)
	}
	for name, want := range map[string]string{"metaxy/new": "int:0", "dagster/row_count": "int:5"} {
		if have := raw(got[0]["metadata"], name); have != want {
			t.Errorf("%s is %s, want %s", name, have, want)
		}
	}
	if checks := sent(t, messages(), pipes.MethodCheck); len(checks) != 1 || checks[0]["passed"] != true {
		t.Errorf("checks: %v", checks)
	}
	for _, o := range []Options{{DryRun: true}, {Limit: 1}, {Shard: Shard{0, 2}}} {
		o.ReportOnly = true
		_, err := ts.run(o, ts.step("video/crop", nil))
		var setup *SetupError
		if !errors.As(err, &setup) {
			t.Errorf("%+v: %v, expected a set-up error", o, err)
		}
	}
}

func TestNothingToDoIsMaterialized(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("video/crop", `{}`))
	ts.videos("1", "a")
	ts.remove("video", "a")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	got := sent(t, messages(), pipes.MethodMaterialize)
	if len(got) != 1 || got[0]["data_version"] != "empty" || raw(got[0]["metadata"], "dagster/row_count") != "int:0" {
		t.Errorf("got %v", got)
	}
}

func nothing(look func()) func(store.Write) error {
	return func(store.Write) error {
		look()
		return nil
	}
}

func TestToleratedFailures(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("video/crop", `{"checks":{"video/crop":"all_done"}}`))
	ts.videos("1", numbered(4)...)
	r := ts.mustRun(Options{MaxFailed: Tolerance{Percent: 50}}, ts.step("video/crop", cropper(failing("v0001", "v0002"))))
	wantCounts(t, r, "new=4 stale=0 orphaned=0 processed=2 failed=2")
	checks := sent(t, messages(), pipes.MethodCheck)
	if len(checks) != 1 || checks[0]["check_name"] != "all_done" || checks[0]["passed"] != false || checks[0]["severity"] != "WARN" {
		t.Fatalf("checks: %v", checks)
	}
	if got := raw(checks[0]["metadata"], "metaxy/failures"); !strings.Contains(got, `{"error":"v0001: broken video","id":"v0001"}`) {
		t.Errorf("failures: %s", got)
	}
}

// TestFailedRunTellsWhatItDid by a custom message, since Dagster drops the reports of a program that fails.
func TestFailedRunTellsWhatItDid(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("video/crop", `{}`))
	ts.videos("1", numbered(30)...)
	_, err := ts.run(Options{}, ts.step("video/crop", cropper(failing("v0002"))))
	var se *SamplesError
	if !errors.As(err, &se) {
		t.Fatal(err)
	}
	if n := len(sent(t, messages(), pipes.MethodMaterialize)); n != 0 {
		t.Errorf("%d materializations of a failed run", n)
	}
	custom := sent(t, messages(), pipes.MethodCustom)[0]["payload"].(map[string]any)["metaxy_pipes"].(map[string]any)
	if custom["processed"] != 29.0 || custom["failed"] != 1.0 || !strings.Contains(fmt.Sprint(custom["error"]), "1 samples failed") ||
		fmt.Sprint(custom["failures"]) != "[map[error:v0002: broken video id:map[id:v0002]]]" {
		t.Errorf("custom message: %v", custom)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	version := func(ts *tables) string { return ts.lookup("video/crop").CodeVersion() }
	for _, c := range []struct {
		name string
		data func(ts *tables) pipes.ContextData
		want string // part of the error; "" means none
	}{
		{"same name", func(*tables) pipes.ContextData { return asset("video/crop", `{}`) }, ""},
		{"one asset, one feature", func(*tables) pipes.ContextData { return asset("anything/else", `{}`) }, ""},
		{"no asset of it", func(*tables) pipes.ContextData {
			return pipes.ContextData{AssetKeys: []string{"x", "y"}}
		}, "none of them is the feature video/crop"},
		{"code version", func(ts *tables) pipes.ContextData {
			d := asset("video/crop", `{}`)
			d.CodeVersions = map[string]string{"video/crop": "git:abc, metaxy:" + version(ts)}
			return d
		}, ""},
		{"other code version", func(*tables) pipes.ContextData {
			d := asset("video/crop", `{}`)
			d.CodeVersions = map[string]string{"video/crop": "metaxy:0000,git:abc"}
			return d
		}, "Dagster expects code version 0000"},
		{"not ours", func(*tables) pipes.ContextData {
			d := asset("video/crop", `{}`)
			d.CodeVersions = map[string]string{"video/crop": "v7"}
			return d
		}, ""},
		{"wrong extras", func(*tables) pipes.ContextData { return asset("video/crop", `{"features":5}`) }, "metaxy_pipes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, graph)
			ts.videos("1", "a")
			messages := ts.attach(c.data(ts))
			_, err := ts.run(Options{}, ts.step("video/crop", cropper(nil)))
			if c.want == "" {
				if err != nil || len(sent(t, messages(), pipes.MethodMaterialize)) != 1 {
					t.Errorf("%v; %d materializations", err, len(sent(t, messages(), pipes.MethodMaterialize)))
				}
				return
			}
			var setup *SetupError
			if !errors.As(err, &setup) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if len(ts.rows("video/crop", "id")) != 0 {
				t.Error("something was written")
			}
		})
	}
}

// TestLogsReachDagster with progress at the beginning and the end.
func TestLogsReachDagster(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	messages := ts.attach(asset("video/crop", `{}`))
	ts.videos("1", "a")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(func(context.Context, string) error { return nil })))
	var lines []string
	for _, p := range sent(t, messages(), pipes.MethodLog) {
		lines = append(lines, fmt.Sprint(p["message"]))
	}
	for _, want := range []string{"resolved", "processing", "done"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) && strings.Contains(l, "video/crop") }) {
			t.Errorf("no log line %q among %q", want, lines)
		}
	}
}
