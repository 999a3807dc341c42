package metaxy

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// invoke runs a program with compiled-in steps on a folder, and returns its status and output.
func invoke(t *testing.T, dir string, steps []Step, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return invokeWith(t, t.Context(), dir, steps, args...)
}

func invokeWith(t *testing.T, ctx context.Context, dir string, steps []Step, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	args = append([]string{"/usr/bin/crops", "--store", filepath.Join(dir, "store")}, args...)
	code = Command(ctx, args, strings.NewReader(""), &out, &errs, steps...)
	return code, out.String(), errs.String()
}

// ingested is a folder whose store holds videos.
func ingested(t *testing.T, steps []Step) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "videos.jsonl")
	rows := "{\"id\":\"a\",\"path\":\"/v\"}\n{\"id\":\"b\",\"path\":\"/v\"}\n{\"id\":\"c\",\"path\":\"/v\"}\n"
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := invoke(t, dir, steps, "ingest", "video", "--from", file); code != 0 {
		t.Fatalf("ingest: status %d: %s", code, stderr)
	}
	return dir
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestCommand(t *testing.T) {
	t.Parallel()
	steps := []Step{{Graph: graph, Feature: "video/crop", Process: cropper(nil)}}
	dir := ingested(t, steps)
	code, stdout, stderr := invoke(t, dir, steps, "run", "--dry-run")
	if code != 0 || stdout != "" || lastLine(stderr) != "new=3 stale=0 orphaned=0 processed=0 failed=0" {
		t.Fatalf("dry run: status %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = invoke(t, dir, steps, "run")
	if code != 0 || stdout != "" || lastLine(stderr) != "new=3 stale=0 orphaned=0 processed=3 failed=0" {
		t.Fatalf("run: status %d\n%s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr = invoke(t, dir, steps, "read", "video/crop", "--columns", "id,crop", "--format", "jsonl")
	want := `{"id":"a","crop":"/v/a"}` + "\n" + `{"id":"b","crop":"/v/b"}` + "\n" + `{"id":"c","crop":"/v/c"}` + "\n"
	if code != 0 || stdout != want {
		t.Fatalf("read: status %d\n%s\n%s", code, stdout, stderr)
	}
	code, _, stderr = invoke(t, dir, steps, "run", "video/crop")
	if code != 0 || lastLine(stderr) != "new=0 stale=0 orphaned=0 processed=0 failed=0" {
		t.Fatalf("second run: status %d\n%s", code, stderr)
	}
}

func TestCommandExternal(t *testing.T) {
	t.Parallel()
	steps := []Step{{Graph: graph, Feature: "video/crop"}}
	dir := ingested(t, steps)
	args, _ := childOf(t, "ok")
	code, _, stderr := invoke(t, dir, steps, append([]string{"run", "video/crop", "--concurrency", "2", "--"}, args...)...)
	if code != 0 || lastLine(stderr) != "new=3 stale=0 orphaned=0 processed=3 failed=0" {
		t.Fatalf("status %d\n%s", code, stderr)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	bad := []Step{{Graph: graph, Feature: "video/crop", Process: cropper(failing("b"))}}
	for _, c := range []struct {
		name string
		args []string
		code int
		last string
		says string
	}{
		{"some failed", []string{"run"}, 3, "new=3 stale=0 orphaned=0 processed=2 failed=1", "b: broken video"},
		{"tolerated", []string{"run", "--max-failed", "1"}, 0, "new=3 stale=0 orphaned=0 processed=2 failed=1", ""},
		{"share tolerated", []string{"run", "--max-failed", "40%"}, 0, "new=3 stale=0 orphaned=0 processed=2 failed=1", ""},
		{"no processor", []string{"run", "video/face"}, 4, "new=0 stale=0 orphaned=0 processed=0 failed=0", "has no processor"},
		{"no table", []string{"run", "video/face", "--", "cat"}, 1, "new=0 stale=0 orphaned=0 processed=0 failed=0", "video/crop"},
		{"root", []string{"run", "video", "--", "cat"}, 4, "new=0 stale=0 orphaned=0 processed=0 failed=0", "ingest"},
		{"wrong command", []string{"run", "video/crop", "--", "no-such-program-x"}, 4, "new=3 stale=0 orphaned=0 processed=0 failed=0", "no-such-program-x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := ingested(t, bad)
			code, stdout, stderr := invoke(t, dir, bad, c.args...)
			if code != c.code || stdout != "" || lastLine(stderr) != c.last || !strings.Contains(stderr, c.says) {
				t.Errorf("status %d, want %d\n%s", code, c.code, stderr)
			}
			if n := strings.Count(stderr, "error: "); n != min(c.code, 1) {
				t.Errorf("%d errors are printed\n%s", n, stderr)
			}
		})
	}
}

func TestCommandInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	steps := []Step{{Graph: graph, Feature: "video/crop", Process: cropper(func(context.Context, string) error {
		cancel(&pipes.SignalError{Signal: os.Interrupt})
		return nil
	})}}
	dir := ingested(t, steps)
	code, _, stderr := invokeWith(t, ctx, dir, steps, "run", "--concurrency", "1")
	if code != 130 || !strings.Contains(stderr, "interrupted by SIGINT") ||
		!strings.HasPrefix(lastLine(stderr), "new=3 stale=0 orphaned=0 processed=") {
		t.Errorf("status %d\n%s", code, stderr)
	}
}

func TestCommandRefusesSteps(t *testing.T) {
	t.Parallel()
	step := Step{Graph: graph, Feature: "video/crop", Process: cropper(nil)}
	for name, steps := range map[string][]Step{
		"twice":     {step, step},
		"ambiguous": {{Graph: graph, Process: cropper(nil)}},
	} {
		if code, _, stderr := invoke(t, t.TempDir(), steps, "version"); code != 4 || stderr == "" {
			t.Errorf("%s: status %d, %q", name, code, stderr)
		}
	}
}

// TestCommandUnderPipes takes the feature from Dagster's context and reports to a file.
func TestCommandUnderPipes(t *testing.T) {
	steps := []Step{{Graph: graph, Feature: "video/crop", Process: cropper(nil)}}
	dir := ingested(t, steps)
	file := filepath.Join(dir, "messages")
	data, err := json.Marshal(pipes.ContextData{RunID: "r1", AssetKeys: []string{"video/crop"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]any{
		pipes.ContextVar:  map[string]json.RawMessage{"data": data},
		pipes.MessagesVar: map[string]string{"path": file},
	} {
		text, err := pipes.EncodeParams(v)
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, text)
	}
	code, _, stderr := invoke(t, dir, steps, "run")
	if code != 0 || lastLine(stderr) != "new=3 stale=0 orphaned=0 processed=3 failed=0" {
		t.Fatalf("status %d\n%s", code, stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for at, want := range map[int]string{0: `"opened"`, len(lines) - 1: `"closed"`} {
		if !strings.Contains(lines[at], want) {
			t.Errorf("line %d is %s, want %s", at, lines[at], want)
		}
	}
	if n := strings.Count(string(text), `"report_asset_materialization"`); n != 1 {
		t.Errorf("%d materializations", n)
	}
}
