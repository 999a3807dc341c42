package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// fixture is a program over a small graph, with its store in memory.
type fixture struct {
	program Program
	environ []string
}

func newFixture() *fixture {
	memory := store.NewMemory()
	return &fixture{program: Program{
		Name: "test",
		Definitions: []feature.Definition{
			{Spec: feature.Spec{Key: "video", IDColumns: []string{"id"}}},
			{Spec: feature.Spec{Key: "video/crop", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "video"}}}},
		},
		Store: func(context.Context) (store.Store, engine.Hashing, error) { return memory, engine.Hashing{}, nil },
	}}
}

// run returns what a command prints and its exit status.
func (f *fixture) run(ctx context.Context, stdin string, args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	a := &app{program: f.program, environ: f.environ, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}
	code = a.main(ctx, args)
	return out.String(), errs.String(), code
}

// must is run for commands that succeed; it returns their output.
func (f *fixture) must(t *testing.T, stdin string, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, code := f.run(t.Context(), stdin, args...)
	if code != ExitOK {
		t.Fatalf("%q: exit %d: %s", args, code, stderr)
	}
	return stdout, stderr
}

// TestRunFlags gives each setting of a run in the file, the environment and as a flag: the flag wins over the
// environment, which wins over the file. Arguments after -- belong to the command, whatever they look like.
func TestRunFlags(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "metaxy.toml")
	file := `[ext.metaxy_pipes]
concurrency = 2
batch_size = 3
retries = 4
flush_rows = 5
flush_interval = "6s"
sample_timeout = "7s"
grace = "8s"
max_failed = "9%"
orphaned = "delete"
`
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	f := newFixture()
	var got RunFlags
	f.program.Run = func(_ context.Context, _ *Env, flags RunFlags) error { got = flags; return nil }
	fromFile := RunFlags{
		Concurrency: 2, BatchSize: 3, Retries: 4, FlushRows: 5, FlushInterval: 6 * time.Second, SampleTimeout: 7 * time.Second,
		Grace: 8 * time.Second, MaxFailed: Tolerance{Percent: 9}, DeleteOrphaned: true,
	}
	f.must(t, "", "run", "--config", path)
	if !reflect.DeepEqual(got, fromFile) {
		t.Errorf("from the file:\ngot  %+v\nwant %+v", got, fromFile)
	}
	f.environ = []string{"METAXY_EXT__METAXY_PIPES__CONCURRENCY=20", "METAXY_EXT__METAXY_PIPES__GRACE=80s"}
	f.must(t, "", "run", "video/crop", "--config", path, "--grace", "9s", "--retries=0", "--flush-rows", "1",
		"--max-failed", "2", "--orphaned", "keep", "--limit", "6", "--partition", "p", "--shard", "1/2", "--dry-run",
		"--batch-arrow", "--", "cmd", "--grace", "1s", "--", "x")
	want := fromFile
	want.Features, want.Command = []feature.Key{"video/crop"}, []string{"cmd", "--grace", "1s", "--", "x"}
	want.Concurrency, want.Grace, want.Retries, want.FlushRows = 20, 9*time.Second, 0, 1
	want.MaxFailed, want.DeleteOrphaned, want.Limit = Tolerance{Count: 2}, false, 6
	want.Partition, want.Shard, want.DryRun, want.BatchArrow = "p", Shard{1, 2}, true, true
	if !reflect.DeepEqual(got, want) {
		t.Errorf("flags over environment over file:\ngot  %+v\nwant %+v", got, want)
	}
}

// TestRunRefuses shows flags of run that make no sense; the runner is never called.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.program.Run = func(context.Context, *Env, RunFlags) error { t.Error("the runner was called"); return nil }
	for _, args := range [][]string{
		{"--concurrency", "0"}, {"--batch-size", "-1"}, {"--flush-rows", "0"}, {"--retries", "-1"}, {"--limit", "-1"},
		{"--grace", "0s"}, {"--grace", "10"}, {"--sample-timeout", "-1s"}, {"--max-failed", "101%"}, {"--max-failed", "-1"},
		{"--max-failed", "x"}, {"--orphaned", "maybe"}, {"--batch-arrow"}, {"--shard", "2/2"}, {"--"}, {"video/corp"}, {"a__b"},
	} {
		_, stderr, code := f.run(t.Context(), "", append([]string{"run"}, args...)...)
		if code != ExitSetup || !strings.HasPrefix(stderr, "error: ") {
			t.Errorf("run %q: exit %d, %q", args, code, stderr)
		}
	}
}

// TestExitCodes lets the runner end in each way.
func TestExitCodes(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		err    error
		code   int
		stderr string
	}{
		{t.Context(), nil, 0, ""},
		{t.Context(), fmt.Errorf("disk full"), 1, "error: disk full\n"},
		{t.Context(), &ExitError{Code: 3, Err: fmt.Errorf("2 samples failed")}, 3, "error: 2 samples failed\n"},
		{t.Context(), fmt.Errorf("run: %w", &ExitError{Code: 3}), 3, ""},
		{t.Context(), fmt.Errorf("plan: %w", engine.ErrPlan), 4, "error: plan: engine: cannot plan\n"},
		{cancelled, fmt.Errorf("stopped: %w", context.Canceled), 130, "error: stopped: context canceled\n"},
		{t.Context(), fmt.Errorf("a\x1b[31m\nb"), 1, "error: a\ufffd[31m\nb\n"},
	} {
		f := newFixture()
		f.program.Run = func(context.Context, *Env, RunFlags) error { return c.err }
		_, stderr, code := f.run(c.ctx, "", "run", "video/crop", "--config", os.DevNull)
		// An interrupted command may stop before the run begins, with a message of its own.
		if code != c.code || stderr != c.stderr && c.ctx.Err() == nil {
			t.Errorf("%v: exit %d, %q; want %d, %q", c.err, code, stderr, c.code, c.stderr)
		}
	}
}

// TestInterrupted stops each command that reads or writes tables.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.must(t, `{"id":"a"}`, "ingest", "video", "--from", "-")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"status"}, {"resolve", "video/crop"}, {"read", "video"}, {"explain", "video/crop", "a"}, {"ingest", "video", "--from", "-"},
	} {
		stdout, _, code := f.run(ctx, `{"id":"b"}`, args...)
		if code != ExitInterrupted || stdout != "" {
			t.Errorf("%q: exit %d, stdout %q; want 130 and nothing", args, code, stdout)
		}
	}
	if out, _ := f.must(t, "", "read", "video", "--columns", "id"); out != "{\"id\":\"a\"}\n" {
		t.Errorf("the interrupted ingest wrote: %s", out)
	}
}

// TestHugeID takes an id of a megabyte through all commands.
func TestHugeID(t *testing.T) {
	t.Parallel()
	f := newFixture()
	id := strings.Repeat("🎬/\"\n", 1<<18)
	line, err := json.Marshal(map[string]string{"id": id})
	if err != nil {
		t.Fatal(err)
	}
	f.must(t, string(line), "ingest", "video", "--from", "-")
	for _, args := range [][]string{{"read", "video", "--columns", "id"}, {"resolve", "video/crop"}} {
		out, _ := f.must(t, "", args...)
		var row struct{ ID string }
		if err := json.Unmarshal([]byte(out), &row); err != nil || row.ID != id {
			t.Errorf("%q: the id comes back with %d bytes, %v", args, len(row.ID), err)
		}
	}
	if out, _ := f.must(t, "", "explain", "video/crop", id); !strings.Contains(out, `"verdict": "new"`) {
		t.Errorf("explain: %.200s", out)
	}
}

// TestShards checks that the shards of an increment are disjoint, that nothing is lost, and that their counts add up.
func TestShards(t *testing.T) {
	t.Parallel()
	f := newFixture()
	var in strings.Builder
	for i := range 500 {
		fmt.Fprintf(&in, "{\"id\":\"s%d\"}\n", i)
	}
	f.must(t, in.String(), "ingest", "video", "--from", "-")
	seen := map[string]int{}
	for i := range 3 {
		out, stderr := f.must(t, "", "resolve", "video/crop", "--shard", fmt.Sprintf("%d/3", i))
		n := strings.Count(out, "\n")
		if want := fmt.Sprintf("new=%d stale=0 orphaned=0\n", n); stderr != want || n < 100 {
			t.Errorf("shard %d: %q, want %q and about a third", i, stderr, want)
		}
		for line := range strings.Lines(out) {
			seen[line]++
		}
	}
	if len(seen) != 500 {
		t.Errorf("%d different samples in all shards, want 500", len(seen))
	}
	for line, n := range seen {
		if n > 1 {
			t.Errorf("in %d shards: %s", n, line)
		}
	}
}

// TestConcurrentIngests lets several ingests of the same samples race: each sample is stored once.
func TestConcurrentIngests(t *testing.T) {
	t.Parallel()
	f := newFixture()
	path := filepath.Join(t.TempDir(), "samples.csv")
	if err := os.WriteFile(path, []byte("id,x\na,1\nb,2\nc,3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	counts := make([]string, 4)
	for i := range counts {
		wg.Go(func() {
			_, stderr, code := f.run(t.Context(), "", "ingest", "video", "--from", path)
			if code != ExitOK {
				t.Errorf("exit %d: %s", code, stderr)
			}
			counts[i] = stderr
		})
	}
	wg.Wait()
	if _, stderr := f.must(t, "", "read", "video", "--history"); stderr != "rows=3\n" {
		t.Errorf("after %q: %s, want each sample once", counts, stderr)
	}
}

// TestParquet takes rows out as Parquet and in again: nothing has changed.
func TestParquet(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.must(t, `{"id":"a","n":9007199254740993,"f":0.1,"b":true,"s":null}
{"id":"b","n":null,"f":"NaN","b":false,"s":"é"}`, "ingest", "video", "--from", "-")
	out, _ := f.must(t, "", "read", "video", "--format", "parquet")
	path := filepath.Join(t.TempDir(), "rows.parquet")
	if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := f.must(t, "", "ingest", "video", "--from", path); stderr != "new=0 stale=0 unchanged=2 removed=0\n" {
		t.Errorf("got %s", stderr)
	}
	other := newFixture()
	other.must(t, "", "ingest", "video", "--from", path)
	columns := []string{"read", "video", "--columns", "id,n,f,b,s,metaxy_provenance_by_field,metaxy_provenance,metaxy_data_version"}
	got, _ := other.must(t, "", columns...)
	want, _ := f.must(t, "", columns...)
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if err := os.WriteFile(path, []byte(out[:len(out)/2]), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := f.run(t.Context(), "", "ingest", "video", "--from", path); code != ExitFailed {
		t.Errorf("half a file: exit %d, %s", code, stderr)
	}
}

// TestNoSecrets fails in every way that has a secret at hand, and looks for it in what is printed.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-93f1c7"
	path := filepath.Join(t.TempDir(), "metaxy.toml")
	file := `[stores.dev]
type = "s3parquet"
[stores.dev.config]
root_path = "ftp://user:` + canary + `@host/x?token=` + canary + `"
[stores.dev.config.storage_options]
AWS_SECRET_ACCESS_KEY = "` + canary + `"
aws_session_token = 7
` + canary[:6] + ` = "` + canary + `"
[stores.ok]
type = "s3parquet"
[stores.ok.config]
root_path = "ftp://user:` + canary + `@host/x?token=` + canary + `"
`
	if err := os.WriteFile(path, []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	f := newFixture()
	f.program.Store = nil
	f.environ = []string{"METAXY_STORES=" + canary}
	for _, args := range [][]string{
		{"--config", path, "--store", "dev", "status"}, {"--config", path, "--store", "ok", "status"},
		{"--config", path, "--store", "ok", "doctor"}, {"--config", path, "--store", "ok", "describe", "--log-level", "debug"},
		{"--store", "ftp://user:" + canary + "@host/x?token=" + canary, "status"},
		{"--store", t.TempDir(), "ingest", "video", "--from", "ftp://user:" + canary + "@host/x.mp4?token=" + canary},
		{"status"},
	} {
		stdout, stderr, code := f.run(t.Context(), "", args...)
		if strings.Contains(stdout+stderr, canary) {
			t.Errorf("%q prints a secret: %s%s", args, stdout, stderr)
		}
		if code == ExitOK && args[len(args)-1] != "debug" {
			t.Errorf("%q: exit 0, expected a failure", args)
		}
		f.environ = nil
	}
}

// TestDoctorLeavesNothing looks at folders that exist and at some that do not: they are afterwards as they were before.
func TestDoctorLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture()
	dir := t.TempDir()
	full := filepath.Join(dir, "full store#?%")
	if err := os.MkdirAll(filepath.Join(full, "_metaxy_doctor", "mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	tree := func() (names []string) {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			names = append(names, path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	before := tree()
	for _, store := range []string{full, filepath.Join(dir, "new", "deep", "store"), dir} {
		f.must(t, "", "doctor", "--store", store)
		if after := tree(); !reflect.DeepEqual(after, before) {
			t.Errorf("doctor --store %s leaves %q, before there was %q", store, after, before)
		}
	}
}

// TestDamagedNeighbour breaks the log of one table: commands that do not need it go on.
func TestDamagedNeighbour(t *testing.T) {
	t.Parallel()
	f := newFixture()
	f.program.Store = nil
	f.program.Definitions = append(f.program.Definitions,
		feature.Definition{Spec: feature.Spec{Key: "audio", IDColumns: []string{"id"}}})
	dir := t.TempDir()
	for _, key := range []string{"audio", "video"} {
		f.must(t, `{"id":"a"}`, "ingest", key, "--from", "-", "--store", dir)
	}
	log := filepath.Join(dir, "audio.delta", "_delta_log", "00000000000000000000.json")
	if err := os.WriteFile(log, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.must(t, "", "resolve", "video/crop", "--store", dir)
	f.must(t, "", "read", "video", "--store", dir)
	for _, args := range [][]string{{"read", "audio"}, {"status"}, {"doctor"}} {
		stdout, stderr, code := f.run(t.Context(), "", append(args, "--store", dir)...)
		if said := stdout + stderr; code != ExitFailed || !strings.Contains(said, "00000000000000000000.json, line 1") {
			t.Errorf("%q: exit %d: %s", args, code, said)
		}
	}
}
