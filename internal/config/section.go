package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A section reads the keys of one table and gathers what is wrong with them. Values never appear in its errors: they
// may be secret.
type section struct {
	name   string // "" for the file itself
	values map[string]any
	known  []string
	errs   *[]error
}

func (s *section) path(key string) string {
	if s.name == "" {
		return key
	}
	return s.name + "." + key
}

func (s *section) fail(key, format string, args ...any) {
	*s.errs = append(*s.errs, fmt.Errorf("%w: %s: %s", ErrConfig, s.path(key), fmt.Sprintf(format, args...)))
}

// take returns a key's value and notes that the key exists.
func (s *section) take(key string) (any, bool) {
	s.known = append(s.known, key)
	v, ok := s.values[key]
	return v, ok && v != nil
}

func (s *section) text(key string) string {
	v, ok := s.take(key)
	if !ok {
		return ""
	}
	t, ok := v.(string)
	if !ok {
		s.fail(key, "expected a string")
	}
	return t
}

func (s *section) integer(key string, least int64) int64 {
	v, ok := s.take(key)
	if !ok {
		return 0
	}
	n, ok := toInteger(v)
	if !ok || n < least {
		s.fail(key, "expected an integer of at least %d", least)
		return 0
	}
	return n
}

func toInteger(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64: // from a variable that holds JSON
		return int64(v), v == float64(int64(v))
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		return n, err == nil
	}
	return 0, false
}

func (s *section) boolean(key string) bool {
	v, ok := s.take(key)
	if !ok {
		return false
	}
	b, ok := toBoolean(v)
	if !ok {
		s.fail(key, "expected true or false")
	}
	return b
}

func toBoolean(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case int64:
		return v == 1, v == 0 || v == 1
	case string:
		switch strings.ToLower(v) {
		case "true", "1", "yes", "on", "t", "y":
			return true, true
		case "false", "0", "no", "off", "f", "n":
			return false, true
		}
	}
	return false, false
}

func (s *section) duration(key string) time.Duration {
	text := s.text(key)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		s.fail(key, "expected a duration such as 200ms or 10s")
	}
	return d
}

func (s *section) list(key string) []string {
	v, ok := s.take(key)
	if !ok {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		s.fail(key, "expected a list of strings")
		return nil
	}
	var texts []string
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			s.fail(key, "expected a list of strings")
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// listOrOne is list, of which a variable can hold a single item.
func (s *section) listOrOne(key string) []string {
	if text, ok := s.values[key].(string); ok {
		s.take(key)
		return []string{text}
	}
	return s.list(key)
}

// table returns the section of a key's table; an absent one is empty.
func (s *section) table(key string) *section {
	inner := &section{name: s.path(key), errs: s.errs}
	v, ok := s.take(key)
	if !ok {
		return inner
	}
	if inner.values, ok = v.(map[string]any); !ok {
		s.fail(key, "expected a table")
	}
	return inner
}

// tables returns the sections of a key's list of tables; an absent one is empty.
func (s *section) tables(key string) []*section {
	v, ok := s.take(key)
	if !ok {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		s.fail(key, "expected a list of tables")
	}
	var out []*section
	for i, item := range items {
		inner := &section{name: fmt.Sprintf("%s[%d]", s.path(key), i), errs: s.errs}
		if inner.values, ok = item.(map[string]any); !ok {
			s.fail(key, "expected a list of tables")
			return nil
		}
		out = append(out, inner)
	}
	return out
}

// keyTexts returns a list of feature keys, each a string or a list of its parts.
func (s *section) keyTexts(key string) []string {
	v, ok := s.take(key)
	if !ok {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		s.fail(key, "expected a list of feature keys")
	}
	var out []string
	for _, item := range items {
		switch item := item.(type) {
		case string:
			out = append(out, item)
		case []any:
			var parts []string
			for _, p := range item {
				parts = append(parts, fmt.Sprint(p))
			}
			out = append(out, strings.Join(parts, "/"))
		default:
			s.fail(key, "expected a list of feature keys")
			return nil
		}
	}
	return out
}

// keys are the names in the table, sorted.
func (s *section) keys() []string { return slices.Sorted(maps.Keys(s.values)) }

// finish reports the keys that nobody has asked for.
func (s *section) finish() {
	for _, key := range s.keys() {
		if slices.Contains(s.known, key) {
			continue
		}
		if near := Nearest(key, s.known); near != "" {
			s.fail(key, "unknown key; did you mean %s?", near)
		} else {
			s.fail(key, "unknown key; known are %s", strings.Join(slices.Sorted(slices.Values(s.known)), ", "))
		}
	}
}
