package databricks

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// given are parameters that are known beforehand.
type given struct{ context, messages string }

func (g given) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	return json.RawMessage(g.context), json.RawMessage(g.messages), nil
}

func TestChannels(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(root string, o *pipes.Options) (prefix string){
		"DBFS": func(root string, o *pipes.Options) string {
			d := DBFS{Mount: root, DriverLogs: "dbfs:/logs/cluster/driver"}
			o.Context, o.Messages = d, d
			return "/"
		},
		"volumes": func(root string, o *pipes.Options) string {
			o.Context, o.Messages = Volumes{}, Volumes{}
			return root + "/"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := errors.Join(os.MkdirAll(filepath.Join(root, "run", "m"), 0o700),
				os.WriteFile(filepath.Join(root, "run", "context.json"), []byte(`{"run_id": "r"}`), 0o600)); err != nil {
				t.Fatal(err)
			}
			opts := new(pipes.Options)
			prefix := use(root, opts)
			opts.Params = given{`{"path": "` + prefix + `run/context.json"}`, `{"path": "` + prefix + `run/m"}`}
			s, err := pipes.Open(t.Context(), opts)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Send(t.Context(), "x"), s.Close()); err != nil || s.Data().RunID != "r" {
				t.Fatalf("run %q, %v", s.Data().RunID, err)
			}
			var file bytes.Buffer
			entries, err := os.ReadDir(filepath.Join(root, "run", "m"))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries { // at most a handful, so that their names are in order
				data, err := os.ReadFile(filepath.Join(root, "run", "m", e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				file.Write(append(data, '\n'))
			}
			messages, err := pipestest.Parse(file.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if err := pipestest.Check(messages); err != nil || len(messages) != 3 {
				t.Errorf("%d messages, %v", len(messages), err)
			}
			if logs := strings.Contains(string(messages[0].Params), "cluster_driver_log_root"); logs != (name == "DBFS") {
				t.Errorf("opened message %s", messages[0].Params)
			}
		})
	}
}

func TestMissingPathIsRefused(t *testing.T) {
	t.Parallel()
	opts := &pipes.Options{Context: Volumes{}, Messages: Volumes{}, Params: given{`{"data": {}}`, `{"path": ""}`}}
	if _, err := pipes.Open(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "path") {
		t.Errorf("error = %v, want one that names the path", err)
	}
}

// TestGiantContext names a file of 1 TB.
func TestGiantContext(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "context.json")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 1<<40); err != nil {
		t.Skip("this file system has no sparse files: ", err)
	}
	_, err := Volumes{}.LoadContext(t.Context(), json.RawMessage(`{"path":"`+file+`"}`))
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v, want an error that names the file and the bound", err)
	}
}
