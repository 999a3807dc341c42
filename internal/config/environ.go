package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const envPrefix = "METAXY_"

// scalarKeys are the keys of the file that a variable METAXY_<KEY> replaces.
var scalarKeys = []string{
	"store", "project", "hash_truncation_length", "enable_map_datatype", "auto_create_tables", "locked", "sync",
	"metaxy_lock_path", "theme",
}

// listKeys are those that it replaces by a list in JSON.
var listKeys = []string{"extra_features", "entrypoints"}

// tableKeys are the tables that variables METAXY_<TABLE>__<KEY>__... reach into.
var tableKeys = []string{"stores", "ext"}

// overlay writes the METAXY_ variables over the file's values. Two underscores separate the levels, and names are taken
// in lower case, as Metaxy does; variables that name nothing of the configuration are somebody else's. One that names all
// stores, a store, its config or an extension holds a JSON object, which is laid over the table.
func overlay(file map[string]any, environ []string) error {
	environ = slices.Sorted(slices.Values(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(strings.ToUpper(name), envPrefix) {
			continue
		}
		path := strings.Split(strings.ToLower(name[len(envPrefix):]), "__")
		var err error
		switch {
		case len(path) == 1 && slices.Contains(scalarKeys, path[0]):
			file[path[0]] = value
		case len(path) == 1 && slices.Contains(listKeys, path[0]):
			file[path[0]], err = decodeAs[[]any](value, "list")
		case slices.Contains(tableKeys, path[0]) && isTable(path):
			var table map[string]any
			if table, err = decodeAs[map[string]any](value, "object"); err == nil {
				err = setPath(file, path, table)
			}
		case slices.Contains(tableKeys, path[0]):
			err = setPath(file, path, value)
		}
		if err != nil {
			return fmt.Errorf("%w: the variable %s: %w", ErrConfig, name, err)
		}
	}
	return nil
}

// isTable reports whether what a variable names is a table for Metaxy: stores, stores.x, stores.x.config, ext, ext.x.
func isTable(path []string) bool {
	return len(path) <= 2 || len(path) == 3 && path[0] == "stores" && path[2] == "config"
}

// decodeAs reads a JSON value of a kind. Its integers are integers, as those of the file.
func decodeAs[T any](text, kind string) (T, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v T
	if err := d.Decode(&v); err != nil || d.More() {
		return v, fmt.Errorf("expected a JSON %s", kind)
	}
	return withNumbers(v).(T), nil
}

// withNumbers replaces JSON numbers by those that TOML has.
func withNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = withNumbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = withNumbers(v[k])
		}
	}
	return v
}

// setPath writes a value to where the path leads; a table is laid over the one that is there.
func setPath(table map[string]any, path []string, value any) error {
	for _, key := range path[:len(path)-1] {
		next, ok := table[key]
		if !ok {
			next = map[string]any{}
			table[key] = next
		}
		inner, ok := next.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is no table", key)
		}
		table = inner
	}
	layOver(table, path[len(path)-1], value)
	return nil
}

func layOver(table map[string]any, key string, value any) {
	over, ok := value.(map[string]any)
	under, isTable := table[key].(map[string]any)
	if !ok || !isTable {
		table[key] = value
		return
	}
	for k, v := range over {
		layOver(under, k, v)
	}
}
