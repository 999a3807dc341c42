package pipes_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// fullContext is a context with every field, as Dagster writes it.
const fullContext = `{
	"asset_keys": ["a", "b\\/c"],
	"code_version_by_asset_key": {"a": "v1", "b\\/c": null},
	"provenance_by_asset_key": {
		"a": {"code_version": "d1", "input_data_versions": {"up": "bb82"}, "is_user_provided": true}, "b\\/c": null
	},
	"partition_key": "2024-03-10-03:00",
	"partition_key_range": {"start": "2024-03-10-03:00", "end": "2024-03-10-03:00"},
	"partition_time_window": {"start": "2024-03-10T03:00:00-04:00", "end": "2024-03-10T04:00:00.5-04:00"},
	"run_id": "EPHEMERAL", "job_name": "__ASSET_JOB", "retry_number": 2, "extras": {"n": 12345678901234567890, "null": null},
	"unknown": [1], "RUN_ID": "not the key run_id"
}`

// parse reads a context that must be good.
func parse(t testing.TB, text string) *pipes.ContextData {
	t.Helper()
	data := new(pipes.ContextData)
	if err := json.Unmarshal([]byte(text), data); err != nil {
		t.Fatal(err)
	}
	return data
}

func TestContextFields(t *testing.T) {
	t.Parallel()
	got := parse(t, fullContext)
	if got.Window == nil {
		t.Fatal("the time window is missing")
	}
	newYork := time.FixedZone("", -4*60*60)
	start, end := time.Date(2024, 3, 10, 3, 0, 0, 0, newYork), time.Date(2024, 3, 10, 4, 0, 0, 500_000_000, newYork)
	if !got.Window.Start.Equal(start) || !got.Window.End.Equal(end) {
		t.Errorf("window = %v, want %v to %v", got.Window, start, end)
	}
	window := got.Window
	got.Window = nil
	want := &pipes.ContextData{
		RunID: "EPHEMERAL", JobName: "__ASSET_JOB", RetryNumber: 2,
		AssetKeys:    []string{"a", `b\/c`},
		CodeVersions: map[string]string{"a": "v1"},
		Provenances: map[string]pipes.Provenance{
			"a": {CodeVersion: "d1", InputDataVersions: map[string]string{"up": "bb82"}, UserProvided: true},
		},
		Partition: "2024-03-10-03:00",
		KeyRange:  &pipes.KeyRange{Start: "2024-03-10-03:00", End: "2024-03-10-03:00"},
		Extras:    map[string]json.RawMessage{"n": json.RawMessage("12345678901234567890"), "null": json.RawMessage("null")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got.Window = window
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(text))
	if !again.Window.End.Equal(end) {
		t.Errorf("window after a round trip = %v", again.Window)
	}
	again.Window, got.Window = nil, nil
	if !reflect.DeepEqual(again, got) {
		t.Errorf("after a round trip: got %+v, want %+v", again, got)
	}
}

func TestContextNulls(t *testing.T) {
	t.Parallel()
	null := `{"asset_keys": null, "code_version_by_asset_key": null, "provenance_by_asset_key": null, "partition_key": null,
		"partition_key_range": null, "partition_time_window": null, "run_id": null, "job_name": null, "retry_number": null,
		"extras": null}`
	for _, text := range []string{null, "{}"} {
		got := parse(t, text)
		if !reflect.DeepEqual(got, new(pipes.ContextData)) {
			t.Errorf("%s gives %+v, want nothing", text, got)
		}
		if got.IsAssetStep() || got.IsPartitionStep() {
			t.Error("the empty context targets something")
		}
	}
	text, err := json.Marshal(pipes.ContextData{})
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil || len(keys) != 10 || string(keys["extras"]) != "{}" {
		t.Errorf("the empty context is written as %s, %v; want ten keys", text, err)
	}
}

func TestContextErrorsNameTheKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"asset_keys": "a"}`:       `"asset_keys"`,
		`{"retry_number": 1.5}`:     `"retry_number"`,
		`{"retry_number": "1"}`:     `"retry_number"`,
		`{"extras": []}`:            `"extras"`,
		`{"partition_key": 5}`:      `"partition_key"`,
		`{"partition_key_range":1}`: `"partition_key_range"`,
		`{"partition_time_window": {"start": "yesterday", "end": "2024-01-01T00:00:00+00:00"}}`: `"start"`,
		`{"partition_time_window": {"start": "2024-01-01T00:00:00+00:00"}}`:                     `"end"`,
		`[]`: "object", `null`: "null",
	} {
		var data pipes.ContextData
		if err := data.UnmarshalJSON([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want one about %s", text, err, want)
		}
	}
}

func TestOldZonesHaveSeconds(t *testing.T) {
	t.Parallel()
	data := parse(t, `{"partition_time_window": {"start": "1890-01-01T00:00:00-04:56:02", "end": "1890-01-02T00:00:00.000001-04:56:02"}}`)
	if want := time.Date(1890, 1, 1, 4, 56, 2, 0, time.UTC); !data.Window.Start.Equal(want) {
		t.Errorf("start = %v, want %v", data.Window.Start.UTC(), want)
	}
}

func TestExtra(t *testing.T) {
	t.Parallel()
	data := parse(t, fullContext)
	var n any
	if found, err := data.Extra("n", &n); !found || err != nil || n != json.Number("12345678901234567890") {
		t.Errorf("Extra(n) = %v, %v, %v; want all digits", n, found, err)
	}
	var u uint64
	if found, err := data.Extra("n", &u); !found || err != nil || u != 12345678901234567890 {
		t.Errorf("Extra(n) = %v, %v, %v; want all digits", u, found, err)
	}
	p := &u
	if found, err := data.Extra("null", &p); !found || err != nil || p != nil {
		t.Errorf("Extra(null) = %v, %v, %v; want nil", p, found, err)
	}
	if found, err := data.Extra("absent", &n); found || err != nil {
		t.Errorf("Extra(absent) = %v, %v", found, err)
	}
	var s string
	if found, err := data.Extra("n", &s); !found || err == nil || !strings.Contains(err.Error(), `"n"`) {
		t.Errorf("Extra(n) as a string: %v, %v; want an error that names it", found, err)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	type result struct {
		value any
		err   error
	}
	// calls returns what every accessor says.
	calls := func(d *pipes.ContextData) map[string]result {
		r := make(map[string]result)
		key, err := d.AssetKey()
		r["AssetKey"] = result{key, err}
		code, err := d.CodeVersion()
		r["CodeVersion"] = result{code, err}
		p, err := d.Provenance()
		r["Provenance"] = result{p != nil, err}
		partition, err := d.PartitionKey()
		r["PartitionKey"] = result{partition, err}
		keys, err := d.PartitionKeyRange()
		r["PartitionKeyRange"] = result{keys, err}
		window, err := d.PartitionTimeWindow()
		r["PartitionTimeWindow"] = result{window != nil, err}
		return r
	}
	failed := result{nil, pipes.ErrScope}
	static := pipes.KeyRange{Start: "k", End: "k"}
	several := pipes.KeyRange{Start: "a", End: "c"}
	for name, test := range map[string]struct {
		context string
		want    map[string]result
	}{
		"op": {`{}`, map[string]result{
			"AssetKey": failed, "CodeVersion": failed, "Provenance": failed,
			"PartitionKey": failed, "PartitionKeyRange": failed, "PartitionTimeWindow": failed,
		}},
		"several assets": {fullContext, map[string]result{
			"AssetKey": failed, "CodeVersion": failed, "Provenance": failed,
			"PartitionKey": {"2024-03-10-03:00", nil}, "PartitionTimeWindow": {true, nil},
		}},
		"no assets at all": {`{"asset_keys": []}`, map[string]result{"AssetKey": failed}},
		"first run": {
			`{"asset_keys": ["x"], "code_version_by_asset_key": {"x": null}, "provenance_by_asset_key": {"x": null}}`,
			map[string]result{"AssetKey": {"x", nil}, "CodeVersion": {"", nil}, "Provenance": {false, nil}},
		},
		"later run": {
			`{"asset_keys": ["x"], "code_version_by_asset_key": {"x": "2"}, "provenance_by_asset_key": {"x": {"code_version": "1"}}}`,
			map[string]result{"CodeVersion": {"2", nil}, "Provenance": {true, nil}},
		},
		"static partition": {`{"partition_key": "k", "partition_key_range": {"start": "k", "end": "k"}}`, map[string]result{
			"PartitionKey": {"k", nil}, "PartitionKeyRange": {static, nil}, "PartitionTimeWindow": {false, nil},
		}},
		"range": {`{"partition_key": null, "partition_key_range": {"start": "a", "end": "c"}}`, map[string]result{
			"PartitionKey": failed, "PartitionKeyRange": {several, nil}, "PartitionTimeWindow": {false, nil},
		}},
		"empty key": {`{"partition_key": "", "partition_key_range": {"start": "", "end": ""}}`, map[string]result{
			"PartitionKey": {"", nil},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := calls(parse(t, test.context))
			for accessor, want := range test.want {
				r := got[accessor]
				if want.err != nil {
					if !errors.Is(r.err, want.err) {
						t.Errorf("%s() error = %v, want %v", accessor, r.err, want.err)
					}
				} else if r != want {
					t.Errorf("%s() = %v, %v, want %v", accessor, r.value, r.err, want.value)
				}
			}
		})
	}
}

func TestDefaultContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "context.json")
	if err := os.WriteFile(file, []byte(`{"run_id": "of the file"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ params, want, wantErr string }{
		{`{"data": {"run_id": "inline"}}`, "inline", ""},
		{`{"path": ` + string(quoted) + `}`, "of the file", ""},
		{`{"data": {"run_id": "inline"}, "path": ` + string(quoted) + `}`, "of the file", ""},
		{`{"data": {"run_id": "inline"}, "path": null, "more": 1}`, "inline", ""},
		{`{"bucket": "b", "key": "k"}`, "", "got bucket, key"},
		{`{}`, "", "got none"},
		{`{"path": 5}`, "", `"path"`},
		{`{"path": "/nowhere/at/all"}`, "", "no such file"},
		{`{"data": [1]}`, "", "object"},
	} {
		data, err := pipes.DefaultContext{}.LoadContext(context.Background(), json.RawMessage(test.params))
		switch {
		case test.wantErr != "":
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("%s: error = %v, want one about %q", test.params, err, test.wantErr)
			}
		case err != nil:
			t.Errorf("%s: %v", test.params, err)
		case data.RunID != test.want:
			t.Errorf("%s: run = %q, want %q", test.params, data.RunID, test.want)
		}
	}
}

// TestLargeContext reads a context of 100 MB, whole and in bounded memory.
func TestLargeContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "context.json")
	large := strings.Repeat("0123456789", 10_000_000)
	if err := os.WriteFile(file, []byte(`{"run_id":"r","extras":{"large":"`+large+`","after":1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	data, used := loadContext(t, file)
	var text string
	if err := json.Unmarshal(data.Extras["large"], &text); err != nil || text != large || string(data.Extras["after"]) != "1" {
		t.Errorf("%d of %d bytes are read: %v", len(text), len(large), err)
	}
	if used > 2<<30 {
		t.Errorf("%d bytes are allocated for 100 MB", used)
	}
}

// loadContext reads a context's file and returns how many bytes that allocates.
func loadContext(t *testing.T, file string) (*pipes.ContextData, uint64) {
	t.Helper()
	params, err := json.Marshal(map[string]string{"path": file})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	data, err := pipes.DefaultContext{}.LoadContext(t.Context(), params)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	return data, after.TotalAlloc - before.TotalAlloc
}

// TestGiantContext names a file of 1 TB.
func TestGiantContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "context.json")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Skip("this file system has no sparse files: ", err)
	}
	_, err := pipes.DefaultContext{}.LoadContext(t.Context(), json.RawMessage(`{"path":"`+file+`"}`))
	if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v, want an error that names the file and the bound", err)
	}
}
