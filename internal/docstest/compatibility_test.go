package docstest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	quoted     = regexp.MustCompile("`([^`]+)`")
	goTest     = regexp.MustCompile(`^(Test|Fuzz)\w+$`)
	pythonTest = regexp.MustCompile(`^test_\w+$`)
)

// TestCompatibilityNamesTests checks that each row of docs/compatibility.md ends with tests, and that these exist: vectors,
// cases of the differential test, scripts, and tests in Go or Python after the package or file that they are in.
func TestCompatibilityNamesTests(t *testing.T) {
	t.Parallel()
	vectors := namesOfVectors(t)
	rows := 0
	for _, line := range strings.Split(read(t, filepath.Join(root, "docs", "compatibility.md")), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		last := cells[len(cells)-1]
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|-") || last == "test" {
			continue
		}
		rows++
		if found := testsNamed(t, last, vectors); found == 0 {
			t.Errorf("%.60s…: the last column names no test", line)
		}
	}
	if rows < 20 {
		t.Errorf("docs/compatibility.md has %d rows", rows)
	}
}

var difference = regexp.MustCompile(`(?m)^\t"([a-z0-9_]+)": +\{`)

// TestDifferencesAreDocumented checks that the vectors which we answer otherwise stand in docs/compatibility.md.
func TestDifferencesAreDocumented(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join(root, "docs", "compatibility.md"))
	names := difference.FindAllStringSubmatch(read(t, filepath.Join(root, "engine", "vectors_test.go")), -1)
	if len(names) < 10 {
		t.Fatalf("engine/vectors_test.go has the differences %q", names)
	}
	for _, m := range names {
		if !strings.Contains(page, "`"+m[1]+"`") {
			t.Errorf("docs/compatibility.md does not speak of the vector %s", m[1])
		}
	}
}

// testsNamed counts the tests that a cell names, and complains of those that do not exist.
func testsNamed(t *testing.T, cell string, vectors map[string]bool) int {
	t.Helper()
	found, where := 0, ""
	for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
		name := m[1]
		exists := false
		switch {
		case goTest.MatchString(name):
			exists = declares(t, filepath.Join(where, "*_test.go"), "func "+name+"(")
		case pythonTest.MatchString(name):
			exists = declares(t, where, "def "+name+"(")
		case strings.HasSuffix(name, ".txtar"):
			_, err := os.Stat(filepath.Join(where, "testdata", name))
			exists = err == nil
		case vectors[name]:
			exists = true
		default:
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				break
			}
			where = filepath.Join(root, name)
			continue
		}
		if !exists {
			t.Errorf("docs/compatibility.md names the test %q (in %q), which does not exist", name, where)
		}
		found++
	}
	return found
}

// declares reports whether one of the files has a text.
func declares(t *testing.T, pattern, text string) bool {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.Contains(read(t, file), text) {
			return true
		}
	}
	return false
}

var vectorName = regexp.MustCompile(`(?m)^ "name": "([^"]+)",$`)

// namesOfVectors are those of the vectors and of the kept cases of the differential test.
func namesOfVectors(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"vectors/*.json", "differential/*.json"} {
		files, err := filepath.Glob(filepath.Join(root, "testdata", filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			if m := vectorName.FindStringSubmatch(read(t, file)); m != nil {
				names[m[1]] = true
			}
			if strings.HasPrefix(pattern, "differential") {
				names[strings.TrimSuffix(filepath.Base(file), ".json")] = true
			}
		}
	}
	return names
}
