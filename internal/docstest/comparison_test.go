package docstest

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	declared = regexp.MustCompile(`(?m)^\s*(?:func|def) ((?:Test|Fuzz|Example|test_)\w*)\(`)
	testName = regexp.MustCompile("`((?:Test|Fuzz|Example)[A-Z_]\\w*|test_[a-z]\\w*)`")
)

// TestDocumentsNameTests checks that the tests which documents speak of exist, in Go or in Python.
func TestDocumentsNameTests(t *testing.T) {
	t.Parallel()
	exists := testNames(t)
	for _, path := range documents(t) {
		for _, m := range testName.FindAllStringSubmatch(read(t, path), -1) {
			if !exists[m[1]] {
				t.Errorf("%s names the test %s, which does not exist", path, m[1])
			}
		}
	}
}

// TestComparisonsNameTests checks that each row of the tables which compare us with others names a test, unless it says
// why there is nothing to compare.
func TestComparisonsNameTests(t *testing.T) {
	t.Parallel()
	for _, table := range []struct {
		page, heading string
		rows          int
	}{{"pipes.md", "## Compared", 30}, {"dagster.md", "## Side by side", 10}} {
		_, rest, found := strings.Cut(read(t, filepath.Join(root, "docs", table.page)), table.heading)
		if !found {
			t.Fatalf("docs/%s has no heading %q", table.page, table.heading)
		}
		text, _, _ := strings.Cut(rest, "\n## ")
		rows := 0
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| | ") {
				continue
			}
			rows++
			if !testName.MatchString(line) && !strings.Contains(line, "not applicable: ") {
				t.Errorf("docs/%s: no test in %s", table.page, line)
			}
		}
		if rows < table.rows {
			t.Errorf("docs/%s compares by %d rows, want %d or more", table.page, rows, table.rows)
		}
	}
}

// testNames are the tests, fuzz targets and examples of the project.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(d.Name(), "test_") && strings.HasSuffix(path, ".py") {
			for _, m := range declared.FindAllStringSubmatch(read(t, path), -1) {
				names[m[1]] = true
			}
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("tests: %v, %v", names, err)
	}
	return names
}
