package pipes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

var update = flag.Bool("update", false, "rewrite the expected messages of the session scripts")

// TestScripts plays the sessions of testdata/sessions. A script begins with why it exists; then follow sections: context,
// calls (one a line: a verb and a JSON argument), and what came of it: the messages and, after each, the error of a call.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/sessions/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d scripts: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, found := strings.Cut(string(text), "-- messages --\n")
			if !found {
				t.Fatalf("%s has no section of messages", file)
			}
			got := play(t, section(t, head, "context"), section(t, head, "calls"))
			if *update && got != want {
				if err := os.WriteFile(file, []byte(head+"-- messages --\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		})
	}
}

// section returns the text of a script's section.
func section(t *testing.T, script, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(script, "-- "+name+" --\n")
	if !found {
		t.Fatalf("script has no section %s", name)
	}
	text, _, _ := strings.Cut(rest, "\n-- ")
	return text
}

// stackFrames matches the frames of an exception, which change with the source.
var stackFrames = regexp.MustCompile(`"stack":\["[^\]]*\]`)

// play makes the calls in a session with the given context and returns what came of it.
func play(t *testing.T, contextText, calls string) string {
	t.Helper()
	var data pipes.ContextData
	if err := json.Unmarshal([]byte(contextText), &data); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	opts, messages := pipestest.Options(data)
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	show := func(err error) {
		for _, m := range messages()[shown:] {
			shown++
			line, lineErr := m.Line()
			if lineErr != nil {
				t.Error(lineErr)
			}
			out.Write(stackFrames.ReplaceAll(line, []byte(`"stack":["FRAMES"]`)))
		}
		if err != nil {
			fmt.Fprintf(&out, "error: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	show(nil)
	for line := range strings.Lines(calls) {
		verb, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
		show(call(t, session, verb, argument))
	}
	show(session.Close())
	if err := pipestest.Check(messages()); err != nil {
		t.Errorf("Dagster would not take the messages: %v", err)
	}
	return out.String()
}

// call makes one call of a script.
func call(t *testing.T, s *pipes.Session, verb, argument string) error {
	t.Helper()
	var a struct {
		Asset, Version, Name, Text, Stream string
		Passed                             bool
		Severity                           pipes.Severity
		Level                              int
		Errors                             []string
		Payload                            any
		Metadata                           map[string][]any
	}
	dec := json.NewDecoder(strings.NewReader(argument))
	dec.UseNumber()
	if err := dec.Decode(&a); err != nil {
		t.Fatalf("%s %s: %v", verb, argument, err)
	}
	ctx := context.Background()
	switch verb {
	case "materialize":
		return s.Materialize(ctx, pipes.Materialization{
			AssetKey: a.Asset, DataVersion: a.Version, Metadata: metadata(t, a.Metadata),
		})
	case "check":
		return s.Check(ctx, pipes.CheckResult{
			AssetKey: a.Asset, Name: a.Name, Passed: a.Passed, Severity: a.Severity, Metadata: metadata(t, a.Metadata),
		})
	case "send":
		return s.Send(ctx, a.Payload)
	case "forward":
		return s.Forward(ctx, pipes.Stream(a.Stream), a.Text)
	case "log":
		s.Logger().Log(ctx, slog.Level(a.Level), a.Text)
		return nil
	case "close":
		return s.Close()
	case "fail":
		err := errors.New(a.Text)
		for _, text := range a.Errors {
			err = fmt.Errorf("%s: %w", text, err)
		}
		return s.CloseWithError(err)
	}
	t.Fatalf("unknown verb %q", verb)
	return nil
}

// metadata builds the values that a script describes as [constructor, argument].
func metadata(t *testing.T, described map[string][]any) pipes.Metadata {
	t.Helper()
	m := make(pipes.Metadata)
	for name, d := range described {
		m[name] = value(t, d[0].(string), d[1])
	}
	return m
}

// value builds one value.
func value(t *testing.T, constructor string, v any) pipes.Value {
	t.Helper()
	text, _ := v.(string)
	number, _ := v.(json.Number)
	ofText := map[string]func(string) pipes.Value{
		"text": pipes.Text, "url": pipes.URL, "path": pipes.Path, "notebook": pipes.Notebook, "md": pipes.Markdown,
		"run": pipes.DagsterRun,
	}
	if construct := ofText[constructor]; construct != nil {
		return construct(text)
	}
	switch constructor {
	case "int":
		i, ok := new(big.Int).SetString(number.String(), 10)
		if !ok {
			t.Fatalf("not an integer: %v", v)
		}
		return pipes.BigInt(i)
	case "float":
		f, err := number.Float64()
		if err != nil {
			t.Fatal(err)
		}
		return pipes.Float(f)
	case "bool":
		return pipes.Bool(v.(bool))
	case "asset":
		return pipes.Asset(strings.Split(text, "|")...)
	case "null":
		return pipes.Null()
	case "time":
		moment, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return pipes.Timestamp(moment)
	case "json":
		return pipes.JSON(v)
	case "infer":
		return pipes.Infer(v)
	case "zero":
		return pipes.Value{}
	}
	t.Fatalf("unknown constructor %q", constructor)
	return pipes.Value{}
}

// decodeLines reads lines of messages and fails the test if one is not whole.
func decodeLines(t *testing.T, text []byte) []pipes.Message {
	t.Helper()
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		t.Errorf("messages do not end in a newline: %q", text[max(0, len(text)-80):])
	}
	messages, err := pipestest.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// readMessages returns the messages of a file.
func readMessages(t *testing.T, path string) []pipes.Message {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return decodeLines(t, text)
}
