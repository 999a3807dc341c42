package featurefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// folder writes files that declare one feature each, by name, and returns their folder.
func folder(t *testing.T, keys map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, key := range keys {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := `{"features": [{"key": "` + key + `", "id_columns": ["id"]}]}`
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"b.yaml": "b", "a.json": "a", "c.yml": "c", "readme.md": "no", "sub/d.yaml": "d", "folder.yaml/e.yaml": "e",
	})
	other := folder(t, map[string]string{"z.yaml": "z"})
	defs, err := Load(dir, filepath.Join(dir, "sub", "d.yaml"), filepath.Join(dir, ".", "b.yaml"), other)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range defs {
		got = append(got, string(d.Spec.Key))
	}
	if want := "a b c d z"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := feature.NewGraph(defs, feature.Options{Project: "p"}); err != nil {
		t.Error(err)
	}
	if defs, err := Load(); len(defs) != 0 || err != nil {
		t.Errorf("no paths: got %v, %v; want nothing", defs, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"a.yaml": "a", "twice.yaml": "a", "bad.json": "A"})
	empty, notes := t.TempDir(), folder(t, map[string]string{"notes.txt": "n"})
	for _, c := range []struct {
		name  string
		paths []string
		is    error
		want  []string
	}{
		{"missing", []string{filepath.Join(dir, "nowhere")}, fs.ErrNotExist, []string{"nowhere", "name a YAML or JSON file"}},
		{"extension", []string{filepath.Join(notes, "notes.txt")}, ErrFile, []string{"ends in .yaml, .yml or .json"}},
		{"no files", []string{empty}, ErrFile, []string{empty, "no .yaml, .yml or .json file"}},
		{"everything", []string{dir, empty}, ErrFile, []string{
			"twice.yaml:1: feature \"a\" is declared at " + filepath.Join(dir, "a.yaml") + ":1 already", "bad.json:1: ", empty,
		}},
	} {
		defs, err := Load(c.paths...)
		if defs != nil || !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, %v; want %v", c.name, defs, err, c.is)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", c.name, err, want)
			}
		}
	}
}
