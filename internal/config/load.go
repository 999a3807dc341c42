package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// extension is the name of our own table below [ext].
const extension = "metaxy_pipes"

// Source says where the configuration comes from.
type Source struct {
	// Path is the file; "" looks at METAXY_CONFIG, then for a file in Dir and above it.
	Path string
	// Dir is where the search begins; "" means the working directory.
	Dir string
	// Environ are the variables as os.Environ has them; nil means none.
	Environ []string
}

// lookup returns a variable of the source.
func (s Source) lookup(name string) (string, bool) {
	for i := len(s.Environ) - 1; i >= 0; i-- {
		if k, v, _ := strings.Cut(s.Environ[i], "="); k == name {
			return v, true
		}
	}
	return "", false
}

// Load reads the configuration. A place without a file has a configuration too: that of the environment. Its errors wrap
// ErrConfig and name the file and the key.
func Load(src Source) (*Config, error) {
	path, err := src.file()
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	if path != "" {
		if values, err = readExtended(path, nil); err != nil {
			return nil, err
		}
		expand(values, src.lookup)
	}
	if err := overlay(values, src.Environ); err != nil {
		return nil, err
	}
	c, err := interpret(values)
	if err != nil {
		if path != "" {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return nil, err
	}
	if path != "" {
		if path, err = filepath.Abs(path); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
	}
	c.Path = path
	return c, nil
}

// file is the path of the file to read; "" for none.
func (s Source) file() (string, error) {
	if s.Path != "" {
		return s.Path, nil
	}
	if path, ok := s.lookup("METAXY_CONFIG"); ok && path != "" {
		return path, nil
	}
	dir := s.Dir
	if dir == "" {
		dir = "."
	}
	return discover(dir)
}

// interpret makes a Config of the tables, with every problem in its error.
func interpret(values map[string]any) (*Config, error) {
	var errs []error
	top := &section{values: values, errs: &errs}
	c := &Config{
		Store:                top.text("store"),
		Project:              top.text("project"),
		HashTruncationLength: int(top.integer("hash_truncation_length", 8)),
		LockPath:             top.text("metaxy_lock_path"),
		Sync:                 true,
		Stores:               map[string]StoreConfig{},
	}
	if _, given := values["project"]; given {
		checkProject(top, c.Project)
	}
	top.boolean("auto_create_tables")
	c.Locked = top.boolean("locked")
	if v, given := values["sync"]; given && v != nil {
		c.Sync = top.boolean("sync")
	}
	top.take("sync")
	c.ExtraFeatures = readExtraFeatures(top)
	c.MapVersions = top.boolean("enable_map_datatype")
	top.list("entrypoints")
	top.text("theme")
	stores := top.table("stores")
	for _, name := range stores.keys() {
		if s, ok := readStore(c, stores.table(name), name); ok {
			c.Stores[name] = s
		}
	}
	ext := top.table("ext")
	for _, name := range ext.keys() {
		plugin := ext.table(name)
		if name == extension {
			c.Pipes = readPipes(plugin)
		} else {
			plugin.boolean("enable")
		}
	}
	top.finish()
	return c, errors.Join(errs...)
}

func (c *Config) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}

var projectName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func checkProject(s *section, name string) {
	if !projectName.MatchString(name) || strings.Contains(name, "__") {
		s.fail("project", "expected letters, digits, - and single underscores")
	}
}

// Dir is the folder of the file, or "." without one.
func (c *Config) Dir() string {
	if c.Path == "" {
		return "."
	}
	return filepath.Dir(c.Path)
}
