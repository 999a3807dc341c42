package metaxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

var daily = feature.MustGraph(
	feature.Spec{Key: "event", IDColumns: ids},
	feature.Spec{Key: "event/named", IDColumns: ids, Deps: []feature.Dep{{Feature: "event"}}, Metadata: map[string]any{"partition_by": "day"}},
	feature.Spec{Key: "event/plain", IDColumns: ids, Deps: []feature.Dep{{Feature: "event"}}},
)

func events(ts *tables) {
	ts.put("event",
		`{"id":"a","day":"2024-01-01","n":1,"who":"x=y","metaxy_provenance_by_field":{"default":"1"}}`,
		`{"id":"b","day":"2024-01-02","n":1,"who":"z","metaxy_provenance_by_field":{"default":"1"}}`,
		`{"id":"c","day":"2024-01-02","n":2,"who":"z","metaxy_provenance_by_field":{"default":"1"}}`,
		`{"id":"d","day":null,"n":2,"who":"z","metaxy_provenance_by_field":{"default":"1"}}`)
}

func keyRange(start, end string) *pipes.KeyRange { return &pipes.KeyRange{Start: start, End: end} }

type event struct {
	Day *string `arrow:"day"`
}

func copyDay() Processor {
	return Each(func(_ context.Context, e event) (event, error) { return e, nil })
}

func TestPartition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		key  feature.Key
		o    Options
		data pipes.ContextData
		by   string // the extra partition_by
		want []string
	}{
		{"column=value", "event/plain", Options{Partition: "day=2024-01-02"}, pipes.ContextData{}, "", []string{"b", "c"}},
		{"value with a sign", "event/plain", Options{Partition: "who=x=y"}, pipes.ContextData{}, "", []string{"a"}},
		{"integer", "event/plain", Options{Partition: "n=2"}, pipes.ContextData{}, "", []string{"c", "d"}},
		{"metadata names the column", "event/named", Options{Partition: "2024-01-01"}, pipes.ContextData{}, "", []string{"a"}},
		{"metadata and column=value", "event/named", Options{Partition: "day=2024-01-01"}, pipes.ContextData{}, "", []string{"a"}},
		{"Dagster", "event/named", Options{}, pipes.ContextData{Partition: "2024-01-02"}, "", []string{"b", "c"}},
		{"extra before metadata", "event/named", Options{}, pipes.ContextData{Partition: "z"}, `"who"`, []string{"b", "c", "d"}},
		{"two dimensions", "event/plain", Options{}, pipes.ContextData{Partition: "2024-01-02|2"}, `{"b":"n","a":"day"}`, []string{"c"}},
		{"a plain key with a bar", "event/plain", Options{}, pipes.ContextData{Partition: "z|z"}, `"who"`, []string{}},
		{"one dimension of three keys", "event/plain", Options{}, pipes.ContextData{KeyRange: keyRange("2024-01-01", "2024-01-03")},
			`"day","partitions":["2024-01-01","2024-01-02","2024-01-03"]`, []string{"a", "b", "c"}},
		{"integer keys", "event/plain", Options{}, pipes.ContextData{KeyRange: keyRange("2", "3")}, `"n","partitions":["2","3"]`,
			[]string{"c", "d"}},
		{"two dimensions of two keys", "event/plain", Options{}, pipes.ContextData{KeyRange: keyRange("2024-01-01|1", "2024-01-02|2")},
			`{"b":"n","a":"day"},"partitions":["2024-01-01|1","2024-01-02|2"]`, []string{"a", "c"}},
		{"no partition", "event/named", Options{}, pipes.ContextData{}, "", []string{"a", "b", "c", "d"}},
		{"unknown value", "event/named", Options{Partition: "1999-01-01"}, pipes.ContextData{}, "", []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ts := newTables(t, daily)
			events(ts)
			if c.data.Partition != "" || c.data.KeyRange != nil {
				c.data.AssetKeys = []string{string(c.key)}
				if c.data.Partition != "" {
					c.data.KeyRange = keyRange(c.data.Partition, c.data.Partition)
				}
				if c.by != "" {
					c.data.Extras = map[string]json.RawMessage{"metaxy_pipes": json.RawMessage(`{"partition_by":` + c.by + `}`)}
				}
				ts.attach(c.data)
			}
			r := ts.mustRun(c.o, ts.step(c.key, copyDay()))
			want := []string{}
			for _, id := range c.want {
				want = append(want, fmt.Sprintf(`{"id":%q}`, id))
			}
			if r.New != int64(len(want)) {
				t.Errorf("new=%d, want %d", r.New, len(want))
			}
			equal(t, "rows", ts.rows(c.key, "id"), want)
		})
	}
}

// TestPartitionReport counts and versions the rows of the partition; the version does not change because of another one.
func TestPartitionReport(t *testing.T) {
	t.Parallel()
	ts := newTables(t, daily)
	events(ts)
	report := func(day string) (version string, metadata any) {
		messages := ts.attach(pipes.ContextData{RunID: "r-" + day, AssetKeys: []string{"event/named"}, Partition: day})
		ts.mustRun(Options{}, ts.step("event/named", copyDay()))
		m := sent(t, messages(), pipes.MethodMaterialize)
		if len(m) != 1 {
			t.Fatalf("materializations: %v", m)
		}
		return m[0]["data_version"].(string), m[0]["metadata"]
	}
	first, md := report("2024-01-01")
	for name, want := range map[string]string{"dagster/row_count": "int:1", "dagster/partition_row_count": "int:1",
		"metaxy/materialized_in_run": "int:1"} {
		if got := raw(md, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	second, md := report("2024-01-02")
	for name, want := range map[string]string{"dagster/row_count": "int:3", "dagster/partition_row_count": "int:2",
		"metaxy/materialized_in_run": "int:2"} {
		if got := raw(md, name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if preview := raw(md, "dagster/table"); !contains(preview, `"b"`) || contains(preview, `"a"`) {
		t.Errorf("the preview is not of the partition: %s", preview)
	}
	again, md := report("2024-01-01")
	if again != first || first == second {
		t.Errorf("versions %s and %s of one partition, %s of another", first, again, second)
	}
	if got := raw(md, "metaxy/materialized_in_run"); got != "int:0" {
		t.Errorf("materialized in the run: %s", got)
	}
	if got := raw(md, "metaxy/info"); !contains(got, `"version":"0.1.11"`) || !contains(got, `"key":"event/named"`) {
		t.Errorf("metaxy/info is %s", got)
	}
	if got := raw(md, "metaxy/store"); !contains(got, `"resolved_from"`) || !contains(got, `"display"`) {
		t.Errorf("metaxy/store is %s", got)
	}
}

// TestPartitionOrphans deletes the orphaned samples of its own partition only.
func TestPartitionOrphans(t *testing.T) {
	t.Parallel()
	ts := newTables(t, daily)
	events(ts)
	ts.mustRun(Options{}, ts.step("event/plain", copyDay()))
	ts.remove("event", "a")
	ts.remove("event", "b")
	r := ts.mustRun(Options{Partition: "day=2024-01-02", DeleteOrphaned: true}, ts.step("event/plain", copyDay()))
	wantCounts(t, r, "new=0 stale=0 orphaned=1 processed=0 failed=0")
	equal(t, "rows", ts.rows("event/plain", "id"), []string{`{"id":"a"}`, `{"id":"c"}`, `{"id":"d"}`})
	// Without the column in the table nobody knows whose orphans they are.
	r = ts.mustRun(Options{Partition: "n=1", DeleteOrphaned: true}, ts.step("event/plain", copyDay()))
	wantCounts(t, r, "new=0 stale=0 orphaned=0 processed=0 failed=0")
}

// TestPartitionOfTime compares times and dates with Dagster's window.
func TestPartitionOfTime(t *testing.T) {
	t.Parallel()
	g := feature.MustGraph(
		feature.Spec{Key: "shot", IDColumns: ids},
		feature.Spec{Key: "shot/copy", IDColumns: ids, Deps: []feature.Dep{{Feature: "shot"}}},
	)
	ts := newTables(t, g)
	start := time.Date(2024, 3, 10, 3, 0, 0, 0, time.FixedZone("", -4*3600))
	ts.attach(pipes.ContextData{AssetKeys: []string{"shot/copy"}, Partition: "2024-03-10-03:00",
		KeyRange: &pipes.KeyRange{Start: "2024-03-10-03:00", End: "2024-03-10-03:00"},
		Window:   &pipes.TimeWindow{Start: start, End: start.Add(time.Hour)},
		Extras:   map[string]json.RawMessage{"metaxy_pipes": json.RawMessage(`{"partition_by":"metaxy_created_at"}`)}})
	// The only column of times that JSON can make is a system column, so compare directly.
	p, err := partitionOf(ts.lookup("shot/copy"), "", ts.session.Data(), json.RawMessage(`"at"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{
		"2024-03-10T06:59:59.999999Z": false, "2024-03-10T07:00:00.000000Z": true,
		"2024-03-10T07:59:59.999999Z": true, "2024-03-10T08:00:00.000000Z": false,
	} {
		rec := recordOf(t, fmt.Sprintf(`{"id":"a","metaxy_created_at":%q}`, at))
		if got := p.holds(column(rec, "metaxy_created_at"), 0, ""); got != want {
			t.Errorf("%s: %t, want %t", at, got, want)
		}
	}
}

func TestPartitionRangeIsRefused(t *testing.T) {
	t.Parallel()
	ts := newTables(t, daily)
	events(ts)
	ts.attach(pipes.ContextData{AssetKeys: []string{"event/named"}, KeyRange: &pipes.KeyRange{Start: "2024-01-01", End: "2024-01-05"}})
	_, err := ts.run(Options{}, ts.step("event/named", copyDay()))
	var setup *SetupError
	if !errors.As(err, &setup) {
		t.Errorf("got %v", err)
	}
}
