package pipes_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// pack encodes a text as a bootstrap value, without looking at it.
func pack(t testing.TB, text string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes())
}

// environment is a lookup function for EnvParams.
func environment(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}
}

func TestEnvParams(t *testing.T) {
	t.Parallel()
	good, whole := pack(t, `{"path": "/c"}`), pack(t, `{"path":"/a very long path that does compress, compress, compress"}`)
	cut := base64.StdEncoding.EncodeToString([]byte("\x78\x9c" + "not a stream"))
	torn, err := base64.StdEncoding.DecodeString(whole)
	if err != nil {
		t.Fatal(err)
	}
	truncated := base64.StdEncoding.EncodeToString(torn[:len(torn)-5])
	flipped := bytes.Clone(torn)
	flipped[len(flipped)-1] ^= 1
	checksum := base64.StdEncoding.EncodeToString(flipped)
	for name, test := range map[string]struct {
		env  map[string]string
		want string // part of the error
	}{
		"good":               {map[string]string{pipes.ContextVar: good, pipes.MessagesVar: good}, ""},
		"empty context":      {map[string]string{pipes.ContextVar: "", pipes.MessagesVar: good}, "DAGSTER_PIPES_CONTEXT: value is empty"},
		"messages missing":   {map[string]string{pipes.ContextVar: good}, "DAGSTER_PIPES_MESSAGES: it is missing"},
		"empty messages":     {map[string]string{pipes.ContextVar: good, pipes.MessagesVar: " \n"}, "DAGSTER_PIPES_MESSAGES: value is empty"},
		"not base64":         {map[string]string{pipes.ContextVar: "{}"}, "read base64"},
		"not zlib":           {map[string]string{pipes.ContextVar: "AAAA"}, "read zlib"},
		"broken zlib":        {map[string]string{pipes.ContextVar: cut}, "read zlib"},
		"truncated":          {map[string]string{pipes.ContextVar: truncated}, "read zlib"},
		"wrong checksum":     {map[string]string{pipes.ContextVar: checksum}, "checksum"},
		"not JSON":           {map[string]string{pipes.ContextVar: pack(t, "{")}, "read JSON"},
		"null":               {map[string]string{pipes.ContextVar: pack(t, "null")}, "got null"},
		"list":               {map[string]string{pipes.ContextVar: pack(t, "[]")}, "read JSON object"},
		"not UTF-8":          {map[string]string{pipes.ContextVar: pack(t, "{\"a\":\"\xff\"}")}, "UTF-8"},
		"two objects":        {map[string]string{pipes.ContextVar: pack(t, "{}{}")}, "read JSON"},
		"messages no object": {map[string]string{pipes.ContextVar: good, pipes.MessagesVar: pack(t, "1")}, pipes.MessagesVar},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := pipes.EnvParams{Lookup: environment(test.env)}.LoadParams()
			if test.want == "" {
				if err != nil || string(got) != `{"path": "/c"}` {
					t.Errorf("LoadParams() = %s, %v", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || errors.Is(err, pipes.ErrNotPipes) {
				t.Errorf("LoadParams() error = %v, want one about %q", err, test.want)
			}
		})
	}
}

func TestArgParams(t *testing.T) {
	t.Parallel()
	context, messages := pack(t, `{"n": 1}`), pack(t, `{"n": 2}`)
	const contextOption, messagesOption = "--dagster-pipes-context", "--dagster-pipes-messages"
	for name, test := range map[string]struct {
		args []string
		want string // part of the error
	}{
		"two tokens":      {[]string{contextOption, context, messagesOption, messages}, ""},
		"joined":          {[]string{contextOption + "=" + context, messagesOption + "=" + messages}, ""},
		"mixed":           {[]string{"run", "-v", "--x=y", messagesOption, messages, contextOption + "=" + context, "z"}, ""},
		"none":            {[]string{"run", "--verbose"}, pipes.ErrNotPipes.Error()},
		"after dashes":    {[]string{"--", contextOption, context}, pipes.ErrNotPipes.Error()},
		"no value":        {[]string{contextOption}, "option --dagster-pipes-context: value is empty"},
		"other option":    {[]string{contextOption + "-file", context}, pipes.ErrNotPipes.Error()},
		"without message": {[]string{contextOption, context}, "option --dagster-pipes-messages: it is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, gotMessages, err := pipes.ArgParams{Args: test.args}.LoadParams()
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("LoadParams() error = %v, want one about %q", err, test.want)
				}
				return
			}
			if err != nil || string(got) != `{"n": 1}` || string(gotMessages) != `{"n": 2}` {
				t.Errorf("LoadParams() = %s, %s, %v", got, gotMessages, err)
			}
		})
	}
}

func TestArgParamsRest(t *testing.T) {
	t.Parallel()
	const contextOption, messagesOption = "--dagster-pipes-context", "--dagster-pipes-messages"
	for _, test := range []struct{ args, want string }{
		{"run -v " + contextOption + " C " + messagesOption + " M x", "run -v x"},
		{contextOption + "=C --a=b " + messagesOption + "=M", "--a=b"},
		{"run -- " + contextOption + " C", "run -- " + contextOption + " C"},
		{"x " + contextOption, "x"},
		{contextOption + "-file C", contextOption + "-file C"},
	} {
		if got := strings.Join(pipes.ArgParams{Args: strings.Fields(test.args)}.Rest(), " "); got != test.want {
			t.Errorf("Rest of %q = %q, want %q", test.args, got, test.want)
		}
	}
}

func TestMapParams(t *testing.T) {
	t.Parallel()
	event := pipes.MapParams{"user": 1, pipes.ContextVar: pack(t, `{"n": 1}`), pipes.MessagesVar: pack(t, `{"n": 2}`)}
	if got, messages, err := event.LoadParams(); err != nil || string(got) != `{"n": 1}` || string(messages) != `{"n": 2}` {
		t.Errorf("LoadParams() = %s, %s, %v", got, messages, err)
	}
	if _, _, err := (pipes.MapParams{"user": 1}).LoadParams(); !errors.Is(err, pipes.ErrNotPipes) {
		t.Errorf("LoadParams() error = %v, want ErrNotPipes", err)
	}
	event[pipes.MessagesVar] = 5
	if _, _, err := event.LoadParams(); err == nil || !strings.Contains(err.Error(), "expected a string") {
		t.Errorf("LoadParams() error = %v, want one about the type", err)
	}
}

func TestAnyParams(t *testing.T) {
	t.Parallel()
	none := pipes.MapParams{}
	broken := pipes.MapParams{pipes.ContextVar: ""}
	good := pipes.MapParams{pipes.ContextVar: pack(t, `{}`), pipes.MessagesVar: pack(t, `{}`)}
	if _, _, err := (pipes.AnyParams{none, none}).LoadParams(); !errors.Is(err, pipes.ErrNotPipes) {
		t.Errorf("without any: error = %v, want ErrNotPipes", err)
	}
	if _, _, err := (pipes.AnyParams{none, good, broken}).LoadParams(); err != nil {
		t.Errorf("with a good one: %v", err)
	}
	if _, _, err := (pipes.AnyParams{broken, good}).LoadParams(); err == nil || errors.Is(err, pipes.ErrNotPipes) {
		t.Errorf("a broken one first: error = %v, want its error", err)
	}
}

func TestEncodeParamsRoundTrip(t *testing.T) {
	t.Parallel()
	text, err := pipes.EncodeParams(map[string]any{"key": "Ü🎬\x00<>"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pipes.DecodeParams(text)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(raw, &got); err != nil || got["key"] != "Ü🎬\x00<>" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := pipes.EncodeParams(func() {}); err == nil {
		t.Error("EncodeParams of a func gave no error")
	}
}

func TestDetect(t *testing.T) {
	t.Setenv(pipes.ContextVar, "")
	if !pipes.Detect() {
		t.Error("Detect() = false with an empty variable, which counts as there")
	}
	if _, err := pipes.Open(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "value is empty") {
		t.Errorf("Open() error = %v, want one about the empty variable", err)
	}
	if err := os.Unsetenv(pipes.ContextVar); err != nil {
		t.Fatal(err)
	}
	if pipes.Detect() {
		t.Error("Detect() = true without a variable")
	}
	session, err := pipes.Open(t.Context(), nil)
	if err != nil || session.Attached() {
		t.Errorf("Open() = %+v, %v; want a session without Dagster", session, err)
	}
}

// TestParamsBomb unpacks a value of 300 kB to more than a context can have. Memory is only taken for what is within the bound.
func TestParamsBomb(t *testing.T) {
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 257 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	bomb := pipes.MapParams{pipes.ContextVar: base64.StdEncoding.EncodeToString(packed.Bytes()), pipes.MessagesVar: pack(t, "{}")}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err = bomb.LoadParams()
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "more than 268435456 bytes") || !strings.Contains(err.Error(), pipes.ContextVar) {
		t.Errorf("%v, want an error that names the key and the bound", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("%d bytes are allocated for a value of %d", used, packed.Len())
	}
}
