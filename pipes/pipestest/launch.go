package pipestest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// Env returns the environment variables that make a child process find the given context, as Dagster's subprocess
// client passes them, and the messages that it has sent so far. The func fails the test if the file of messages holds
// anything that would stop Dagster's reader.
func Env(t testing.TB, data pipes.ContextData) (env []string, messages func() []pipes.Message) {
	t.Helper()
	dir := t.TempDir()
	contextFile, messagesFile := filepath.Join(dir, "context"), filepath.Join(dir, "messages")
	text, err := json.Marshal(data)
	if err == nil {
		err = errors.Join(os.WriteFile(contextFile, text, 0o600), os.WriteFile(messagesFile, nil, 0o600))
	}
	if err != nil {
		t.Fatalf("write context and messages files: %v", err)
	}
	for name, params := range map[string]any{
		pipes.ContextVar:  map[string]any{"path": contextFile},
		pipes.MessagesVar: map[string]any{"path": messagesFile, "include_stdio_in_messages": false},
	} {
		value, err := pipes.EncodeParams(params)
		if err != nil {
			t.Fatalf("encode %s: %v", name, err)
		}
		env = append(env, name+"="+value)
	}
	return env, func() []pipes.Message {
		t.Helper()
		text, err := os.ReadFile(messagesFile)
		if err != nil {
			t.Fatalf("read messages: %v", err)
		}
		list, err := Parse(text)
		if err != nil {
			t.Fatalf("messages file: %v", err)
		}
		return list
	}
}

// Parse reads a file of messages as Dagster's reader does, which takes a blank line, or one that is not a JSON object,
// for the end of everything.
func Parse(file []byte) ([]pipes.Message, error) {
	var list []pipes.Message
	for number := 1; len(file) > 0; number++ {
		var text []byte
		text, file, _ = bytes.Cut(file, []byte("\n"))
		o, err := decodeObject(text)
		if err == nil {
			err = o.check(members{"__dagster_pipes_version": isString, "method": isString, "params": isAnything})
		}
		var m pipes.Message
		if err == nil {
			err = json.Unmarshal(text, &m)
		}
		if err != nil {
			return list, fmt.Errorf("line %d, %.100q: %w", number, text, err)
		}
		list = append(list, m)
	}
	return list, nil
}
