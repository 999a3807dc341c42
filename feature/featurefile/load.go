package featurefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Load reads the features of files and folders. Of a folder it reads the *.yaml, *.yml and *.json files in order of
// name, but not the folders in it. A file that is named twice is read once; a feature that is declared twice is an
// error that names both places. The error joins every problem.
func Load(paths ...string) ([]feature.Definition, error) {
	var defs []feature.Definition
	var problems []error
	read, places := map[string]bool{}, map[feature.Key]placed{}
	for _, path := range paths {
		files, err := list(path)
		if err != nil {
			problems = append(problems, err)
		}
		for _, file := range files {
			if read[filepath.Clean(file)] {
				continue
			}
			read[filepath.Clean(file)] = true
			found, err := load(file)
			if err != nil {
				problems = append(problems, err)
			}
			for _, f := range found {
				if first, taken := places[f.def.Spec.Key]; taken {
					problems = append(problems, declaredTwice(f, first))
				}
				places[f.def.Spec.Key] = f
				defs = append(defs, f.def)
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return defs, nil
}

func declaredTwice(f, first placed) error {
	return fmt.Errorf("%w: %s:%d: feature %q is declared at %s:%d already; keep one of the two",
		ErrFile, f.file, f.line, f.def.Spec.Key, first.file, first.line)
}

// list returns the files that a path stands for.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("find features: %w; name a YAML or JSON file or a folder of them", err)
	}
	if err != nil {
		return nil, fmt.Errorf("find features: %w", err)
	}
	if !info.IsDir() {
		if !hasFormat(path) {
			return nil, fmt.Errorf("%w: %s: expected a name that ends in .yaml, .yml or .json", ErrFile, path)
		}
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("find features: %w", err)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && hasFormat(e.Name()) {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%w: %s: the folder has no .yaml, .yml or .json file", ErrFile, path)
	}
	return files, nil
}

func hasFormat(name string) bool {
	return slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name)))
}

func load(file string) ([]placed, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read features: %w", err)
	}
	p := &parser{file: file}
	p.documents(data)
	if err := errors.Join(p.problems...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	return p.found, nil
}
