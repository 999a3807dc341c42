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
	"metaxy_lock_path", "theme", "extra_features", "entrypoints",
}

// tableKeys are the tables that variables METAXY_<TABLE>__<KEY>__... reach into.
var tableKeys = []string{"stores", "ext"}

// overlay writes the METAXY_ variables over the file's values. Two underscores separate the levels, and names are taken
// in lower case, as Metaxy does; variables that name nothing of the configuration are somebody else's.
func overlay(file map[string]any, environ []string) error {
	environ = slices.Sorted(slices.Values(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(strings.ToUpper(name), envPrefix) {
			continue
		}
		path := strings.Split(strings.ToLower(name[len(envPrefix):]), "__")
		switch {
		case len(path) == 1 && slices.Contains(scalarKeys, path[0]):
			file[path[0]] = value
		case len(path) == 1 && slices.Contains(tableKeys, path[0]):
			var table map[string]any
			if err := json.Unmarshal([]byte(value), &table); err != nil {
				return fmt.Errorf("%w: the variable %s is not a JSON object", ErrConfig, name)
			}
			file[path[0]] = table
		case len(path) > 1 && slices.Contains(tableKeys, path[0]):
			if err := setPath(file, path, value); err != nil {
				return fmt.Errorf("%w: the variable %s: %w", ErrConfig, name, err)
			}
		}
	}
	return nil
}

func setPath(table map[string]any, path []string, value string) error {
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
	table[path[len(path)-1]] = value
	return nil
}
