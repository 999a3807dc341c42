package vectors

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesOfTheProject(t *testing.T) {
	t.Setenv(Env, "")
	for group, want := range map[string]string{"keys": "keys.json", "graph": "graph_001_root_default_field.json"} {
		files := Files(t, group)
		if filepath.Base(files[0]) != want {
			t.Errorf("%s: got %s first, want %s", group, files[0], want)
		}
	}
	if got := Files(t, "graph"); len(got) < 30 {
		t.Errorf("got %d files of the group graph, want all of them", len(got))
	}
}

// TestFilesOfAnotherFolder checks that an own folder is used instead, and may lack a group.
func TestFilesOfAnotherFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"rows_2.json", "rows_1.json", "rows.json", "rowsx.json", "rows_3.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(Env, dir)
	var got []string
	for _, file := range Files(t, "rows") {
		got = append(got, filepath.Base(file))
	}
	if len(got) != 3 || got[0] != "rows.json" || got[1] != "rows_1.json" || got[2] != "rows_2.json" {
		t.Errorf("got %q, want rows.json, rows_1.json and rows_2.json", got)
	}
	if files := Files(t, "graph"); len(files) != 0 {
		t.Errorf("got %q, want nothing", files)
	}
}
