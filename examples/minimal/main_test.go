package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
)

// Test runs the commands of the program's comment.
func Test(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	texts := filepath.Join(dir, "texts.jsonl")
	if err := os.WriteFile(texts, []byte("{\"id\":\"a\",\"body\":\"to be\"}\n{\"id\":\"b\",\"body\":\"é\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   string
		stdout string
		last   string // line of stderr
	}{
		{"ingest text --from " + texts, "", "new=2 stale=0 unchanged=0 removed=0"},
		{"run", "", "new=2 stale=0 orphaned=0 processed=2 failed=0"},
		{"run", "", "new=0 stale=0 orphaned=0 processed=0 failed=0"},
		{"read text/length --columns id,bytes --format jsonl", "{\"id\":\"a\",\"bytes\":5}\n{\"id\":\"b\",\"bytes\":2}\n", "rows=2"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"minimal", "--store", filepath.Join(dir, "data")}, strings.Fields(c.args)...)
		code := metaxy.Command(t.Context(), args, strings.NewReader(""), &stdout, &stderr, step)
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if code != 0 || stdout.String() != c.stdout || lines[len(lines)-1] != c.last {
			t.Fatalf("%s: status %d\n%s%s", c.args, code, &stdout, &stderr)
		}
	}
}
