package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// readExtended reads a file and the files that it extends, parents first.
func readExtended(path string, children []string) (map[string]any, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if slices.Contains(children, path) {
		return nil, fmt.Errorf("%w: the files extend each other in a circle: %s", ErrConfig,
			strings.Join(append(children, path), " -> "))
	}
	child, err := readFile(path)
	if err != nil {
		return nil, err
	}
	anchorFeatures(child, filepath.Dir(path))
	extend, ok := child["extend"]
	if !ok {
		return child, nil
	}
	delete(child, "extend")
	name, ok := extend.(string)
	if !ok {
		return nil, fmt.Errorf("%w: %s: extend: expected a path as a string", ErrConfig, path)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	parent, err := readExtended(name, append(children, path))
	if err != nil {
		return nil, fmt.Errorf("extend in %s: %w", path, err)
	}
	return merge(parent, child), nil
}

// merge lays child over parent as Metaxy does: scalars of the child win, tables are merged one level deep, lists are
// joined.
func merge(parent, child map[string]any) map[string]any {
	merged := maps.Clone(parent)
	for key, value := range child {
		switch value := value.(type) {
		case map[string]any:
			if have, ok := merged[key].(map[string]any); ok {
				have = maps.Clone(have)
				maps.Copy(have, value)
				merged[key] = have
				continue
			}
		case []any:
			if have, ok := merged[key].([]any); ok {
				merged[key] = slices.Concat(have, value)
				continue
			}
		}
		merged[key] = value
	}
	return merged
}

// anchorFeatures makes the paths of ext.metaxy_pipes.features relative to the folder of the file that names them.
func anchorFeatures(file map[string]any, dir string) {
	ext, _ := file["ext"].(map[string]any)
	pipes, _ := ext[extension].(map[string]any)
	paths, _ := pipes["features"].([]any)
	for i, p := range paths {
		if s, ok := p.(string); ok && s != "" && !filepath.IsAbs(s) && !strings.HasPrefix(s, "${") {
			paths[i] = filepath.Join(dir, s)
		}
	}
}
