package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

var update = flag.Bool("update", false, "rewrite the expected output of the scripts")

// TestScripts runs testdata/*.txtar. A script begins with why it exists; its file "script" holds commands ("$ …") and
// what they print: stdout as it is, stderr with "2> " before each line, and the exit status if it is not 0. The other
// files lie in the folder $WORK. $STORE is the store, in a folder
// that does not exist at first; $SAMPLE has a store that Metaxy wrote.
func TestScripts(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runScript(t, path)
		})
	}
}

func runScript(t *testing.T, path string) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sample, err := filepath.Abs("testdata/metaxy")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{work: t.TempDir(), sample: sample}
	var at *txtar.File
	for i, f := range a.Files {
		if f.Name == "script" {
			at = &a.Files[i]
			continue
		}
		name := filepath.Join(s.work, f.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.Data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if at == nil || len(bytes.TrimSpace(a.Comment)) == 0 {
		t.Fatal("a script needs a reason and a file \"script\"")
	}
	got := s.run(t, string(at.Data))
	if *update {
		at.Data = []byte(got)
		if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := string(at.Data); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// A script is a run of one script file.
type script struct {
	work   string
	sample string // a store of Metaxy's and its features
}

// store is the compiled-in store, for commands without --store.
func (s *script) store(ctx context.Context) (store.Store, engine.Hashing, error) {
	st, err := s3parquet.Open(ctx, filepath.Join(s.work, "store"), s3parquet.Options{})
	return st, engine.Hashing{}, err
}

// run executes the commands of a script and returns it with the output that they have.
func (s *script) run(t *testing.T, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			out.WriteString("\n" + line)
		}
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		if out.Len() > 0 && !endsWithComment(out.String()) {
			out.WriteByte('\n')
		}
		out.WriteString(line)
		out.WriteString(s.hide(s.execute(t, strings.TrimSuffix(command, "\n"))))
	}
	return out.String()
}

func endsWithComment(s string) bool {
	last := strings.TrimSuffix(s, "\n")
	return strings.HasPrefix(last[strings.LastIndexByte(last, '\n')+1:], "#")
}

// execute runs one command; "cp" and "rm" change files, and "< FILE" gives a file as standard input.
func (s *script) execute(t *testing.T, command string) string {
	words := s.words(command)
	switch words[0] {
	case "cp":
		data, err := os.ReadFile(words[1])
		if err = errors.Join(err, os.WriteFile(words[2], data, 0o644)); err != nil {
			t.Fatal(err)
		}
		return ""
	case "rm":
		if err := os.RemoveAll(words[1]); err != nil {
			t.Fatal(err)
		}
		return ""
	}
	var stdin []byte
	if n := len(words); n > 2 && words[n-2] == "<" {
		var err error
		if stdin, err = os.ReadFile(words[n-1]); err != nil {
			t.Fatal(err)
		}
		words = words[:n-2]
	}
	var env []string
	for strings.Contains(words[0], "=") {
		env, words = append(env, words[0]), words[1:]
	}
	var stdout, stderr bytes.Buffer
	a := &app{
		program: Program{Name: "metaxy-pipes", Store: s.store}, environ: env,
		stdin: bytes.NewReader(stdin), stdout: &stdout, stderr: &stderr,
	}
	code := a.main(context.Background(), words)
	var out strings.Builder
	out.Write(stdout.Bytes())
	for line := range strings.Lines(stderr.String()) {
		out.WriteString("2> " + line)
	}
	if code != 0 {
		fmt.Fprintf(&out, "exit %d\n", code)
	}
	return out.String()
}

// words splits a command at spaces, but not between quotes: single ones, or double ones around a
// whole word. A command without a program's name is ours.
func (s *script) words(command string) []string {
	var words []string
	quoted := rune(0)
	word, has := "", false
	for _, r := range command {
		switch {
		case r == quoted:
			quoted = 0
		case quoted == 0 && (r == '\'' || r == '"' && !has):
			quoted, has = r, true
		case r == ' ' && quoted == 0:
			if has {
				words = append(words, s.expand(word))
			}
			word, has = "", false
		default:
			word, has = word+string(r), true
		}
	}
	if has {
		words = append(words, s.expand(word))
	}
	return words
}

func (s *script) expand(word string) string {
	return strings.NewReplacer("$WORK", s.work, "$STORE", filepath.Join(s.work, "store"), "$SAMPLE", s.sample).Replace(word)
}

var changing = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`time=\S+ `), ""},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z`), "<time>"},
	{regexp.MustCompile(`recorded 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`), "recorded <time>"},
	{regexp.MustCompile(`"go1\.[0-9.]+"`), `"<go>"`},
	{regexp.MustCompile(`part-\d{5}-[-0-9a-f]{36}`), "part-<name>"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d`), "<local time>      "},
	{regexp.MustCompile(`"bytes(_added)?": \d+`), `"bytes$1": <n>`},
	{regexp.MustCompile(`\b\d+ bytes`), "<n> bytes"},
	{regexp.MustCompile(`metaxy-pipes/(devel|v?\d[^ "]*)`), "metaxy-pipes/<version>"},
	{regexp.MustCompile(`_metaxy_doctor/[0-9a-f]{16}`), "_metaxy_doctor/<name>"},
}

// hide replaces what differs from run to run.
func (s *script) hide(out string) string {
	out = strings.NewReplacer(s.work, "$WORK", s.sample, "$SAMPLE").Replace(out)
	for _, c := range []string{"\x00", "\x1b"} { // which would make the script a binary file
		out = strings.ReplaceAll(out, c, fmt.Sprintf("<%02x>", c))
	}
	for _, c := range changing {
		out = c.pattern.ReplaceAllString(out, c.with)
	}
	return out
}
