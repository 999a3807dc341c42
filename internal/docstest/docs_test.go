// Package docstest keeps the documents true: code in them is code that is compiled, and links lead somewhere.
package docstest

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "copy the code that documents name into them")

const root = "../.."

// codeBlock is a comment that names a file, and the block of code after it.
var codeBlock = regexp.MustCompile("(?s)<!-- code: (\\S+) -->\n(?:```go\n.*?```\n)?")

// TestCode compares the blocks of code with the files that they name, from the package clause on.
func TestCode(t *testing.T) {
	t.Parallel()
	blocks := 0
	for _, path := range documents(t) {
		text := read(t, path)
		got := codeBlock.ReplaceAllStringFunc(text, func(block string) string {
			blocks++
			name := codeBlock.FindStringSubmatch(block)[1]
			code := read(t, filepath.Join(root, name))
			return "<!-- code: " + name + " -->\n```go\n" + code[strings.Index(code, "package "):] + "```\n"
		})
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got != text {
			t.Errorf("%s: a block of code is not what its file holds; run go test ./internal/docstest -update", path)
		}
	}
	if blocks == 0 {
		t.Error("no document names any code")
	}
}

var link = regexp.MustCompile(`\]\(([^)#: ]+)[^):]*\)`)

// TestLinks checks that links within the project lead to a file.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, path := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, path), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", path, m[1])
			}
		}
	}
}

var target = regexp.MustCompile("`make ([a-z][a-z0-9-]*)")

// TestMakeTargets checks that the make targets that documents speak of exist.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, filepath.Join(root, "Makefile"))
	for _, path := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(read(t, path), -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s: there is no make target %s", path, m[1])
			}
		}
	}
}

// documents are the Markdown files of the project.
func documents(t *testing.T) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil || len(paths) == 0 {
		t.Fatalf("documents: %v, %v", paths, err)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
