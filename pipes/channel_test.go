package pipes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// bootstrap are the options of a session with the given context and messages params.
func bootstrap(t *testing.T, contextParams, messagesParams string) *pipes.Options {
	t.Helper()
	return &pipes.Options{Params: staticParams(t, contextParams, messagesParams)}
}

// methods lists the methods of messages.
func methods(messages []pipes.Message) string {
	var names []string
	for _, m := range messages {
		names = append(names, string(m.Method))
	}
	return strings.Join(names, " ")
}

// messagesFile returns the messages params of a new file with the given text, and its path.
func messagesFile(t *testing.T, text string) (params, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "messages")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"path": %s, "include_stdio_in_messages": false, "unknown": 1}`, quoted), path
}

func TestFileIsAppendedTo(t *testing.T) {
	t.Parallel()
	earlier := `{"__dagster_pipes_version":"0.1","method":"log","params":{"message":"m","level":"INFO"}}` + "\n"
	params, path := messagesFile(t, earlier)
	session, err := pipes.Open(t.Context(), bootstrap(t, `{"data": {}}`, params))
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := methods(decodeLines(t, text)); got != "log opened closed" {
		t.Errorf("messages = %s", got)
	}
}

func TestParallelReportsKeepWholeLines(t *testing.T) {
	t.Parallel()
	params, path := messagesFile(t, "")
	session, err := pipes.Open(t.Context(), bootstrap(t, `{"data": {"asset_keys": ["a", "b"]}}`, params))
	if err != nil {
		t.Fatal(err)
	}
	const workers, each = 16, 40
	var wg sync.WaitGroup
	var once, again sync.Map
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				session.Logger().Info("log", "worker", w, "i", i, "padding", strings.Repeat("Ü\n", 1000))
				if err := session.Send(t.Context(), []int{w, i}); err != nil {
					t.Error(err)
				}
			}
			err := session.Materialize(t.Context(), pipes.Materialization{AssetKey: "a"})
			if err == nil {
				once.Store(w, true)
			} else if errors.Is(err, pipes.ErrReported) {
				again.Store(w, true)
			} else {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	messages := decodeLines(t, text)
	if err := pipestest.Check(messages); err != nil {
		t.Error(err)
	}
	if want := 2*workers*each + 3; len(messages) != want {
		t.Errorf("got %d messages, want %d", len(messages), want)
	}
	next := make(map[int]int)
	for _, m := range messages {
		var p struct{ Payload []int }
		if m.Method == pipes.MethodCustom {
			if err := json.Unmarshal(m.Params, &p); err != nil || next[p.Payload[0]] != p.Payload[1] {
				t.Fatalf("got %s, %v after %d messages of this goroutine", m.Params, err, next[p.Payload[0]])
			}
			next[p.Payload[0]]++
		}
	}
	if n, m := count(&once), count(&again); n != 1 || m != workers-1 {
		t.Errorf("%d materializations were accepted and %d refused", n, m)
	}
}

// count returns the number of entries.
func count(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func TestNullDevice(t *testing.T) {
	t.Parallel()
	session, err := pipes.Open(t.Context(), bootstrap(t, `{"data": {}}`, `{"path": "/dev/null"}`))
	if err != nil {
		t.Fatal(err)
	}
	session.Logger().Info("into the void")
	if err := session.Close(); err != nil {
		t.Error(err)
	}
}

func TestMessagesParamsErrors(t *testing.T) {
	t.Parallel()
	dir, err := json.Marshal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for params, want := range map[string]string{
		`{}`:                                      "got none",
		`{"bucket": "b", "key_prefix": "p"}`:      "got bucket, key_prefix",
		`{"path": ""}`:                            "empty",
		`{"path": 1}`:                             `"path"`,
		`{"path": "/nowhere/at/all/messages"}`:    "no such file",
		`{"path": ` + string(dir) + `}`:           "is a directory",
		`{"stdio": "stdlog"}`:                     `expected stdout or stderr, got "stdlog"`,
		`{"buffered_stdio": 2}`:                   `"buffered_stdio"`,
		`{"path": null, "stdio": "standard out"}`: `"stdio"`,
	} {
		_, err := pipes.Open(t.Context(), bootstrap(t, `{"data": {}}`, params))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want one about %q", params, err, want)
		}
	}
}

// writes is a stream that remembers each write.
type writes [][]byte

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, bytes.Clone(p))
	return len(p), nil
}

func TestStreamMessagesStartLines(t *testing.T) {
	t.Parallel()
	var stream writes
	out := pipes.NewStreamOutput(&stream)
	opts := bootstrap(t, `{"data": {}}`, `{"stdio": "stderr"}`)
	opts.Messages = pipes.DefaultMessages{Stderr: out}
	if _, err := io.WriteString(out, "progress 10%"); err != nil {
		t.Fatal(err)
	}
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	session.Logger().Info("m")
	if _, err := io.WriteString(out, "a whole line\n"); err != nil {
		t.Fatal(err)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	var shapes []string
	for _, w := range stream {
		text, _, _ := strings.Cut(string(w), `"params"`)
		shapes = append(shapes, strings.TrimSuffix(text, ","))
	}
	version := `{"__dagster_pipes_version":"0.1",`
	want := []string{
		"progress 10%", "\n" + version + `"method":"opened"`, version + `"method":"log"`, "a whole line\n",
		version + `"method":"closed"`,
	}
	if fmt.Sprintf("%q", shapes) != fmt.Sprintf("%q", want) {
		t.Errorf("writes:\n%q\nwant:\n%q", shapes, want)
	}
}

func TestBufferedStreamIsOneWriteAtTheEnd(t *testing.T) {
	t.Parallel()
	var stream writes
	opts := bootstrap(t, `{"data": {}}`, `{"buffered_stdio": "stdout"}`)
	opts.Messages = pipes.DefaultMessages{Stdout: pipes.NewStreamOutput(&stream)}
	session, err := pipes.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	session.Logger().Info("m")
	if len(stream) != 0 {
		t.Errorf("wrote %q before the end", stream)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if len(stream) != 1 || methods(decodeLines(t, stream[0])) != "opened log closed" {
		t.Errorf("wrote %q, want one write of three messages", stream)
	}
}
