package newproject

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestProjectName(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]string{
		"notes": "notes", "My Project": "my-project", "a__b": "a-b", "7up": "steps-7up", "…": "steps", "/": "steps", "-x-": "x",
	} {
		if got := projectName(folder); got != want {
			t.Errorf("projectName(%q) = %q, want %q", folder, got, want)
		}
	}
}

// TestGoVersion keeps the version of Go in the project's go.mod that of this module.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(data)
	if m == nil || string(m[1]) != goVersion {
		t.Errorf("goVersion is %s, go.mod has %s", goVersion, m[1])
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "main.go")
	if err := os.WriteFile(mine, []byte("package mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(dir); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "main.go") {
		t.Errorf("error %v, want one that names main.go", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files %v, %v: want only the one that was there", entries, err)
	}
	if data, err := os.ReadFile(mine); err != nil || string(data) != "package mine\n" {
		t.Errorf("main.go is now %q, %v", data, err)
	}
}
