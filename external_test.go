package metaxy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// child is an external processor played by this test binary, and the file with its state.
func childOf(t *testing.T, role string) (args []string, state string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	state = filepath.Join(t.TempDir(), "state")
	return []string{"/usr/bin/env", "METAXY_TEST_CHILD=" + role, "METAXY_TEST_STATE=" + state, exe}, state
}

func runChild(t *testing.T, role string, o Options, names ...string) (*tables, Result, error) {
	t.Helper()
	args, _ := childOf(t, role)
	ts := newTables(t, graph)
	ts.videos("1", names...)
	r, err := ts.run(o, ts.step("video/crop", External(args)))
	return ts, r, err
}

func TestExternal(t *testing.T) {
	t.Parallel()
	odd := []string{"a", `q"uote`, "new\nline", "tab\t", "🎬", "sla/sh", `back\slash`, "\u2028", "", "{\"id\":\"x\"}", "nul\x00"}
	ts, r, err := runChild(t, "ok", Options{Concurrency: 2}, odd...)
	if err != nil {
		t.Fatal(err)
	}
	if r.Processed != int64(len(odd)) || len(ts.rows("video/crop", "id", "crop")) != len(odd) {
		t.Errorf("%s; rows %v", counts(r), ts.rows("video/crop", "id", "crop"))
	}
	for _, row := range ts.rows("video/crop", "id", "crop") {
		var id, crop string
		if _, err := fmt.Sscanf(strings.NewReplacer(`{"id":`, "", `,"crop":`, " ", "}", "").Replace(row), "%q %q", &id, &crop); err == nil && crop != "x/"+id {
			t.Errorf("row %s does not belong together", row)
		}
	}
}

// TestExternalKillerAmongMany: while samples are fast, a child holds several. That one of them kills it is no failure of the
// others, not even without retries.
func TestExternalKillerAmongMany(t *testing.T) {
	t.Parallel()
	names := numbered(400)
	for _, i := range []int{150, 151, 399} {
		names[i] = "bad" + names[i]
	}
	for _, role := range []string{"dies", "garbage"} {
		ts, r, err := runChild(t, role, Options{Concurrency: 2, MaxFailed: Tolerance{Count: 3}}, names...)
		if err != nil {
			t.Fatal(err)
		}
		wantCounts(t, r, "new=400 stale=0 orphaned=0 processed=397 failed=3")
		for _, f := range r.Failures {
			if id := idString(f.ID); !strings.Contains(id, "bad") {
				t.Errorf("%s: %s failed: %v", role, id, f.Err)
			}
		}
		if rows := ts.rows("video/crop", "id"); len(rows) != 397 {
			t.Errorf("%s: %d rows", role, len(rows))
		}
	}
}

func TestExternalIsNotStartedForNothing(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	state := filepath.Join(t.TempDir(), "started")
	ts.mustRun(Options{}, ts.step("video/crop", External([]string{"touch", state})))
	if _, err := os.Stat(state); err == nil {
		t.Error("the command was started although there was nothing to do")
	}
}

func TestExternalAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	ts, r, err := runChild(t, "reverse", Options{BatchSize: 3, Concurrency: 2}, numbered(12)...)
	if err != nil || r.Processed != 12 {
		t.Fatalf("%s: %v", counts(r), err)
	}
	for i, row := range ts.rows("video/crop", "id", "crop") {
		if want := fmt.Sprintf(`{"id":"v%04d","crop":"rv%04d"}`, i, i); row != want {
			t.Errorf("got %s, want %s", row, want)
		}
	}
}

func TestExternalFailures(t *testing.T) {
	t.Parallel()
	names := append(numbered(6), "bad")
	for role, want := range map[string]string{
		"error":          "cannot decode: \"moov\"",
		"dies":           "exit status 137; its last words: out of memory",
		"exits":          "exited while it held the sample: exit status 0",
		"garbage":        "Loading checkpoint shards",
		"foreign":        `"nobody" is not a sample that it holds`,
		"no id":          `no id column "id"`,
		"wrong versions": `names the field "audio"`,
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			ts, r, err := runChild(t, role, Options{Concurrency: 2, Retries: 1, RetryDelay: 1}, names...)
			var se *SamplesError
			if !errors.As(err, &se) || !strings.Contains(r.Failures[0].Err.Error(), want) {
				t.Fatalf("got %v, want a failure with %q", err, want)
			}
			if role == "wrong versions" {
				return // in which all samples fail
			}
			wantCounts(t, r, "new=7 stale=0 orphaned=0 processed=6 failed=1")
			if got := idString(r.Failures[0].ID); got != `id="bad"` {
				t.Errorf("%s failed", got)
			}
			if rows := ts.rows("video/crop", "id", "crop"); len(rows) != 6 || rows[0] != `{"id":"v0000","crop":"x/v0000"}` {
				t.Errorf("rows %v", rows)
			}
		})
	}
}

// TestExternalDiesOnce starts the command again and tries its sample again. Samples of the same batch that it has
// answered before stay answered.
func TestExternalDiesOnce(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 4} {
		ts, r, err := runChild(t, "dies once", Options{Concurrency: 1, BatchSize: size, Retries: 1, RetryDelay: 1}, "a", "b", "bad", "c")
		if err != nil {
			t.Fatalf("batches of %d: %v", size, err)
		}
		wantCounts(t, r, "new=4 stale=0 orphaned=0 processed=4 failed=0")
		if ts.stored("video/crop") != 4 {
			t.Errorf("%d rows", ts.stored("video/crop"))
		}
	}
}

// TestExternalAnswersTwice: the second answer must not be taken for that of another sample.
func TestExternalAnswersTwice(t *testing.T) {
	t.Parallel()
	ts, r, err := runChild(t, "twice", Options{Concurrency: 1, Retries: 1, RetryDelay: 1}, "a", "bad", "c", "d")
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, r, "new=4 stale=0 orphaned=0 processed=4 failed=0")
	equal(t, "rows", ts.rows("video/crop", "id", "crop"), []string{`{"id":"a","crop":"x/a"}`, `{"id":"bad","crop":"x"}`,
		`{"id":"c","crop":"x/c"}`, `{"id":"d","crop":"x/d"}`})
}

// TestExternalHangs kills the command with all that it has started.
func TestExternalHangs(t *testing.T) {
	t.Parallel()
	args, state := childOf(t, "hangs")
	ts := newTables(t, graph)
	ts.videos("1", "a", "bad", "c")
	begin := time.Now()
	r, err := ts.run(Options{Concurrency: 1, SampleTimeout: 2 * time.Second}, ts.step("video/crop", External(args)))
	wantCounts(t, r, "new=3 stale=0 orphaned=0 processed=2 failed=1")
	if !errors.Is(err, errTimeout) {
		t.Errorf("got %v", err)
	}
	if d := time.Since(begin); d > 30*time.Second {
		t.Errorf("took %s", d)
	}
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d, which the command had started, is still there", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestExternalInterrupted(t *testing.T) {
	t.Parallel()
	args, state := childOf(t, "hangs")
	ts := newTables(t, graph)
	ts.videos("1", "bad")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if _, err := os.Stat(state); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	rs, err := Run(ctx, ts.session, Options{Grace: time.Millisecond}, ts.step("video/crop", External(args)))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantCounts(t, rs[0], "new=1 stale=0 orphaned=0 processed=0 failed=0")
}

// TestExternalColumns: types come from all rows of a commit; what the sample brought along is stored only if it is sent
// back, and its status is not.
func TestExternalColumns(t *testing.T) {
	t.Parallel()
	ts, _, err := runChild(t, "types", Options{Concurrency: 1}, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ts.rows("video/crop", "id", "big", "list", "mixed", "name", "ok", "score"), []string{
		`{"id":"a","big":9007199254740993,"list":"[1,2]","mixed":"7","name":"n","ok":true,"score":1.0}`,
		`{"id":"b","big":9007199254740993,"list":"[1,2]","mixed":"text","name":"n","ok":null,"score":0.5}`})
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if snap.Schema().HasField("empty") {
		t.Error("a column without any value was stored")
	}
}

func TestExternalEcho(t *testing.T) {
	t.Setenv(pipes.ContextVar, "secret")
	t.Setenv(pipes.MessagesVar, "secret")
	args, _ := childOf(t, "echo")
	ts := newTables(t, graph)
	ts.videos("1", "a")
	ts.mustRun(Options{}, ts.step("video/crop", External(args)))
	equal(t, "rows", ts.rows("video/crop", "id", "crop", "path", "env"), []string{`{"id":"a","crop":"e","path":"/v","env":""}`})
	snap, err := ts.Snapshot(t.Context(), "video/crop")
	if err != nil {
		t.Fatal(err)
	}
	if snap.Schema().HasField("status") {
		t.Error("the sample's status was stored as a column")
	}
}

// TestExternalExistingColumn: an existing column keeps its type, and what does not fit it fails its sample.
func TestExternalExistingColumn(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a", "b")
	ts.put("video/crop", `{"id":"old","score":3,"metaxy_provenance_by_field":{"default":"1"}}`)
	args, _ := childOf(t, "types")
	r, err := ts.run(Options{}, ts.step("video/crop", External(args)))
	wantCounts(t, r, "new=2 stale=0 orphaned=1 processed=1 failed=1")
	if err == nil || !strings.Contains(err.Error(), `column "score"`) {
		t.Errorf("got %v", err)
	}
}

func TestExternalDataVersions(t *testing.T) {
	t.Parallel()
	ts, _, err := runChild(t, "versions", Options{}, "a")
	if err != nil {
		t.Fatal(err)
	}
	rows := ts.rows("video/crop", "metaxy_data_version_by_field", "metaxy_data_version", "metaxy_provenance")
	if len(rows) != 1 || !strings.HasPrefix(rows[0], `{"metaxy_data_version_by_field":{"default":"mine"},`) {
		t.Fatalf("rows %v", rows)
	}
	again := ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	wantCounts(t, again, "new=0 stale=0 orphaned=0 processed=0 failed=0")
}

func TestExternalStderrIsLogged(t *testing.T) {
	t.Parallel()
	ts, _, err := runChild(t, "stderr", Options{}, "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`"working on a"`, `"second line"`} {
		if !strings.Contains(ts.log.String(), line) {
			t.Errorf("no %s in the log: %s", line, ts.log)
		}
	}
}

func TestExternalIntegerIDs(t *testing.T) {
	t.Parallel()
	args, _ := childOf(t, "ok")
	ts := newTables(t, graph)
	ts.put("video", `{"id":9007199254740993,"metaxy_provenance_by_field":{"default":"1"}}`, `{"id":-1,"metaxy_provenance_by_field":{"default":"1"}}`)
	r := ts.mustRun(Options{}, ts.step("video/crop", External(args)))
	wantCounts(t, r, "new=2 stale=0 orphaned=0 processed=2 failed=0")
	equal(t, "rows", ts.rows("video/crop", "id", "crop"), []string{
		`{"id":-1,"crop":"x/-1"}`, `{"id":9007199254740993,"crop":"x/9007199254740993"}`})
}

func TestExternalArrow(t *testing.T) {
	t.Parallel()
	args, _ := childOf(t, "arrow")
	ts := newTables(t, graph)
	ts.videos("1", append(numbered(9), "bad")...)
	r, err := ts.run(Options{BatchSize: 4, Concurrency: 2}, ts.step("video/crop", ExternalArrow(args)))
	wantCounts(t, r, "new=10 stale=0 orphaned=0 processed=9 failed=1")
	if err == nil || !strings.Contains(err.Error(), "no frames") {
		t.Errorf("got %v", err)
	}
	if rows := ts.rows("video/crop", "id", "crop"); len(rows) != 9 || rows[0] != `{"id":"v0000","crop":"v0000/new"}` {
		t.Errorf("rows %v", rows)
	}
}

// TestExternalArrowPace: while samples are fast, a record batch has more and more of them. That one of them kills the program is
// no failure of the others, not even without retries.
func TestExternalArrowPace(t *testing.T) {
	t.Parallel()
	names := numbered(1000)
	for _, i := range []int{150, 600, 999} {
		names[i] = "bad" + names[i]
	}
	args, _ := childOf(t, "arrow dies")
	ts := newTables(t, graph)
	ts.videos("1", names...)
	r, _ := ts.run(Options{Concurrency: 2}, ts.step("video/crop", ExternalArrow(args)))
	wantCounts(t, r, "new=1000 stale=0 orphaned=0 processed=997 failed=3")
	for _, f := range r.Failures {
		if id := idString(f.ID); !strings.Contains(id, "bad") {
			t.Errorf("%s failed: %v", id, f.Err)
		}
	}
	most := 0
	for _, row := range ts.rows("video/crop", "together") {
		var n int
		if _, err := fmt.Sscanf(row, `{"together":%d}`, &n); err != nil {
			t.Fatal(row, err)
		}
		most = max(most, n)
	}
	if most < 2 || most > maxArrowPace {
		t.Errorf("up to %d samples came together; want more than one and at most %d", most, maxArrowPace)
	}
}

// TestExternalArrowTimeout: with a time limit for each sample, each comes by itself.
func TestExternalArrowTimeout(t *testing.T) {
	t.Parallel()
	args, _ := childOf(t, "arrow")
	ts := newTables(t, graph)
	ts.videos("1", numbered(50)...)
	ts.mustRun(Options{SampleTimeout: time.Minute}, ts.step("video/crop", ExternalArrow(args)))
	for _, row := range ts.rows("video/crop", "together") {
		if row != `{"together":1}` {
			t.Fatalf("row %s", row)
		}
	}
}

// TestExternalArrowGarbage lets a program answer that does not speak Arrow.
func TestExternalArrowGarbage(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	for _, args := range [][]string{{"echo", "hello, this is no Arrow stream at all"}, {"false"}, {"true"}} {
		r, err := ts.run(Options{}, ts.step("video/crop", ExternalArrow(args)))
		if err == nil || r.Failed != 1 {
			t.Errorf("%v: %s, %v", args, counts(r), err)
		}
	}
}

func TestCanonicalIDs(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"a"`: `"a"`, `"\u0061"`: `"a"`, `5`: `5`, `5.0`: `5`, `5e0`: `5`, `9007199254740993`: `9007199254740993`, `0.5`: `0.5`,
		`true`: `true`, `null`: `null`, `"\ud83c\udfac"`: `"🎬"`, `"5"`: `"5"`, `1e300`: `1e300`,
	} {
		if got := canonical([]byte(raw)); got != want {
			t.Errorf("canonical(%s) = %s, want %s", raw, got, want)
		}
	}
}

func TestChildEnvironment(t *testing.T) {
	t.Parallel()
	all := []string{"PATH=/bin", "HOME=/h", "MODEL_SIZE=3", "AWS_SECRET_ACCESS_KEY=k", "EMPTY=", "METAXY_STORE=dev",
		"METAXY_STORES__DEV__CONFIG__STORAGE_OPTIONS__AWS_SECRET_ACCESS_KEY=k", pipes.ContextVar + "=c", pipes.MessagesVar + "=m"}
	for _, c := range []struct{ patterns, want []string }{
		{nil, []string{"PATH=/bin", "HOME=/h", "MODEL_SIZE=3", "AWS_SECRET_ACCESS_KEY=k", "EMPTY=", "METAXY_STORE=dev"}},
		{[]string{"PATH", "MODEL_*", "[", "*_STORE"}, []string{"PATH=/bin", "MODEL_SIZE=3", "METAXY_STORE=dev"}},
		{[]string{"*"}, all[:7]},
	} {
		equal(t, fmt.Sprint(c.patterns), childEnv(all, c.patterns), c.want)
	}
}
