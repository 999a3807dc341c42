package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

const (
	fileName    = "metaxy.toml"
	projectFile = "pyproject.toml"
)

// discover returns the configuration file of a folder or the nearest one above it; "" when there is none. A
// pyproject.toml counts when it has a [tool.metaxy] table with something in it.
func discover(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("%w: find %s: %w", ErrConfig, fileName, err)
	}
	for {
		path := filepath.Join(dir, fileName)
		if isFile(path) {
			return path, nil
		}
		path = filepath.Join(dir, projectFile)
		if isFile(path) {
			section, err := readFile(path)
			if err != nil {
				return "", err
			}
			if len(section) > 0 {
				return path, nil
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", nil
		}
		dir = parent
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// readFile returns the tables of a metaxy.toml, or of the [tool.metaxy] section of a pyproject.toml.
func readFile(path string) (map[string]any, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s: there is no such file", ErrConfig, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read file: %w", ErrConfig, err)
	}
	return parseFile(path, data)
}

func parseFile(path string, data []byte) (map[string]any, error) {
	all := map[string]any{}
	if err := toml.Unmarshal(data, &all); err != nil {
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			row, column := d.Position()
			return nil, fmt.Errorf("%w: %s: line %d, column %d: %w", ErrConfig, path, row, column, err)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	if filepath.Base(path) != projectFile {
		return all, nil
	}
	tool, _ := all["tool"].(map[string]any)
	section, _ := tool["metaxy"].(map[string]any)
	return section, nil
}
