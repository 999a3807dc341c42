// Package newproject holds the small working project that the command init writes.
package newproject

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// ErrExists reports that a file of the project is there already.
var ErrExists = errors.New("already there")

//go:embed files
var files embed.FS

// goVersion is the oldest version of Go that the project builds with; a test compares it with this module's.
const goVersion = "1.26.0"

// outputs are the names of the embedded files that cannot be embedded, or would not be left alone, under their own.
var outputs = map[string]string{"main.go.tmpl": "main.go", "go.mod.tmpl": "go.mod", "gitignore": ".gitignore"}

// Write writes the project into dir, which it makes if it is not there, and returns the names of the files in order. It
// changes no file: if any of them is there already it writes nothing and returns an error wrapping [ErrExists].
func Write(dir string) ([]string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	project, err := render(projectName(filepath.Base(abs)))
	if err != nil {
		return nil, err
	}
	var names, taken []string
	for name := range project {
		names = append(names, name)
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			taken = append(taken, name)
		}
	}
	slices.Sort(names)
	if slices.Sort(taken); len(taken) > 0 {
		return nil, fmt.Errorf("%s: %w: %s; nothing was written", dir, ErrExists, strings.Join(taken, ", "))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := create(filepath.Join(dir, name), project[name]); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// render fills in the project's name. It does without text/template, which would make the linker keep every method of
// every type: a third more of binary.
func render(name string) (map[string][]byte, error) {
	entries, err := fs.ReadDir(files, "files")
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("PROJECT_NAME", name, "GO_VERSION", goVersion)
	out := map[string][]byte{}
	for _, e := range entries {
		data, err := files.ReadFile("files/" + e.Name())
		if err != nil {
			return nil, err
		}
		output := e.Name()
		if to, ok := outputs[output]; ok {
			output = to
		}
		out[output] = []byte(fill.Replace(string(data)))
	}
	return out, nil
}

var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// projectName makes of the name of a folder one that Metaxy, Go modules and file names all take.
func projectName(folder string) string {
	name := strings.Trim(unfit.ReplaceAllString(strings.ToLower(folder), "-"), "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return strings.TrimSuffix("steps-"+name, "-")
	}
	return name
}

// create writes a file that must not be there.
func create(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
