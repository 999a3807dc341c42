package pipes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// An object is a decoded JSON object. Its keys are matched exactly, which encoding/json does not do with structs.
type object map[string]json.RawMessage

// decodeObject reads a JSON text that must be an object.
func decodeObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("read JSON: text is not valid UTF-8")
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, fmt.Errorf("read JSON object: %w", err)
	}
	if o == nil {
		return nil, errors.New("read JSON object: got null")
	}
	return o, nil
}

// has reports whether a key is there with a value other than null.
func (o object) has(key string) bool {
	raw, ok := o[key]
	return ok && string(raw) != "null"
}

// keys lists the object's keys for an error message.
func (o object) keys() string {
	if len(o) == 0 {
		return "none"
	}
	return strings.Join(sortedKeys(o), ", ")
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// member decodes the value of a key. A missing key and null give the zero value.
func member[T any](o object, key string) (T, error) {
	var v T
	if !o.has(key) {
		return v, nil
	}
	if err := json.Unmarshal(o[key], &v); err != nil {
		return v, fmt.Errorf("read %q: %w", key, err)
	}
	return v, nil
}
