// Package lockfile reads metaxy.lock, in which Metaxy keeps the definitions of features that other projects compute.
//
// The file is TOML. It has, for each feature, the table [features."a/b".info] with the versions that it had, and
// [features."a/b".data] with its definition, of which members that are null are left out:
//
//	[features."video/raw".info]
//	version = "01234567"
//	definition_version = "89abcdef"
//	version_by_field = {audio = "…", frames = "…"}
//
//	[features."video/raw".data]
//	project = "films"
//	feature_class_path = "films.features.Raw"
//	feature_schema = "{…}"
//	spec = {key = "video/raw", id_columns = ["id"], …}
package lockfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// ErrLock reports a file that is no metaxy.lock.
var ErrLock = errors.New("invalid lock file")

// An Entry is a feature of the file.
type Entry struct {
	// Definition is the feature; it is external.
	Definition feature.Definition
	// Version is the feature version that it had when the file was made.
	Version string
	// DefinitionVersion is the definition version that it had. That of Definition differs if the feature's metadata had
	// nulls, which the file does not keep.
	DefinitionVersion string
	// FieldVersions are the versions that its fields had.
	FieldVersions map[feature.Key]string
}

type fileText struct {
	Features map[string]entryText `toml:"features"`
}

type entryText struct {
	Info *infoText `toml:"info"`
	Data *dataText `toml:"data"`
}

type infoText struct {
	Version           *string           `toml:"version"`
	DefinitionVersion *string           `toml:"definition_version"`
	VersionByField    map[string]string `toml:"version_by_field"`
}

type dataText struct {
	ClassPath string         `toml:"feature_class_path"`
	Schema    any            `toml:"feature_schema"`
	Project   *string        `toml:"project"`
	Spec      map[string]any `toml:"spec"`
}

// Read reads the features of a file, in order of key. Its errors wrap [ErrLock], or say that the file cannot be read.
func Read(path string) ([]Entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	entries, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return entries, nil
}

// Parse reads the features of a file's text. Every problem is in its error, which wraps [ErrLock].
func Parse(data []byte) ([]Entry, error) {
	var file fileText
	d := toml.NewDecoder(strings.NewReader(string(data)))
	if err := d.DisallowUnknownFields().Decode(&file); err != nil {
		return nil, syntax(err)
	}
	var entries []Entry
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(file.Features)) {
		e, err := file.Features[name].read(name)
		if err != nil {
			problems = append(problems, fmt.Errorf("%w: feature %.100q: %w", ErrLock, name, err))
		}
		entries = append(entries, e)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return entries, nil
}

// syntax says where a file is wrong.
func syntax(err error) error {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var names []string
		for _, e := range unknown.Errors {
			row, _ := e.Position()
			names = append(names, fmt.Sprintf("%s (line %d)", strings.Join(e.Key(), "."), row))
		}
		return fmt.Errorf("%w: unknown members: %s; metaxy lock writes the file anew", ErrLock, strings.Join(names, ", "))
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, column := e.Position()
		return fmt.Errorf("%w: line %d, column %d: %w", ErrLock, row, column, err)
	}
	return fmt.Errorf("%w: %w", ErrLock, err)
}

func (t entryText) read(name string) (Entry, error) {
	var missing []string
	need := func(there bool, member string) {
		if !there {
			missing = append(missing, member)
		}
	}
	need(t.Info != nil && t.Info.Version != nil, "info.version")
	need(t.Info != nil && t.Info.DefinitionVersion != nil, "info.definition_version")
	need(t.Info != nil && t.Info.VersionByField != nil, "info.version_by_field")
	need(t.Data != nil && t.Data.Project != nil && *t.Data.Project != "", "data.project")
	need(t.Data != nil && t.Data.Spec != nil, "data.spec")
	need(t.Data != nil && t.Data.Schema != nil, "data.feature_schema")
	if len(missing) > 0 {
		return Entry{}, fmt.Errorf("it lacks %s", strings.Join(missing, ", "))
	}
	e := Entry{
		Version: *t.Info.Version, DefinitionVersion: *t.Info.DefinitionVersion, FieldVersions: map[feature.Key]string{},
		Definition: feature.Definition{Project: *t.Data.Project, ClassPath: t.Data.ClassPath, External: true},
	}
	for field, version := range t.Info.VersionByField {
		e.FieldVersions[feature.Key(field)] = version
	}
	spec, err := appendJSON(nil, t.Data.Spec)
	if err != nil {
		return Entry{}, fmt.Errorf("data.spec: %w", err)
	}
	if err := json.Unmarshal(spec, &e.Definition.Spec); err != nil {
		return Entry{}, fmt.Errorf("data.spec: %w", err)
	}
	if key := e.Definition.Spec.Key; string(key) != name {
		return Entry{}, fmt.Errorf("its spec has the key %.100q; each feature stands under its own key", key)
	}
	e.Definition.Schema, err = schema(t.Data.Schema)
	return e, err
}

// schema reads a schema that is given as JSON text, or as a table.
func schema(v any) (json.RawMessage, error) {
	switch v := v.(type) {
	case string:
		if text := strings.TrimSpace(v); json.Valid([]byte(text)) && strings.HasPrefix(text, "{") {
			return json.RawMessage(text), nil
		}
	case map[string]any:
		return appendJSON(nil, v)
	}
	return nil, errors.New("data.feature_schema: expected the text of a JSON object")
}
