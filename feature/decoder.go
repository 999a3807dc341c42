package feature

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// A decoder turns parsed JSON into specs and collects every problem on the way. A path names the member that a
// value comes from, for messages; after a problem the returned value is meaningless.
type decoder struct {
	problems []*FeatureError
}

func (d *decoder) fail(path, format string, args ...any) {
	d.problems = append(d.problems, specProblem("", strings.TrimPrefix(path, "."), format, args...))
}

// object takes an object. If any members are given, others are problems.
func (d *decoder) object(path string, v any, members ...string) (object, bool) {
	o, ok := v.(object)
	if !ok {
		d.fail(path, "expected an object, got %s", describe(v))
		return nil, false
	}
	for _, m := range o {
		if len(members) > 0 && !slices.Contains(members, m.name) {
			d.fail(path+"."+m.name, "unknown member, expected one of %q%s",
				members, didYouMean(m.name, slices.Values(members)))
		}
	}
	return o, true
}

func (d *decoder) required(path string, o object, name string) (any, bool) {
	v, ok := o.get(name)
	if !ok {
		d.fail(path+"."+name, "is missing; it has no default")
	}
	return v, ok
}

func decodeList[T any](d *decoder, path string, v any, item func(path string, v any) T) []T {
	list, ok := v.([]any)
	if !ok {
		d.fail(path, "expected a list, got %s", describe(v))
	}
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = item(fmt.Sprintf("%s[%d]", path, i), v)
	}
	return out
}

func (d *decoder) strings(path string, v any) []string {
	return decodeList(d, path, v, d.string)
}

func (d *decoder) string(path string, v any) string {
	s, ok := v.(string)
	if ok {
		return s
	}
	switch v.(type) {
	case json.Number, bool:
		d.fail(path, "expected a string, got %s; write it in quotes: \"%v\"", describe(v), v)
	default:
		d.fail(path, "expected a string, got %s", describe(v))
	}
	return ""
}

// bool takes what Metaxy takes for a boolean, because YAML files say yes and no.
func (d *decoder) bool(path string, v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string, json.Number:
		switch strings.ToLower(fmt.Sprint(v)) {
		case "true", "t", "yes", "y", "on", "1":
			return true
		case "false", "f", "no", "n", "off", "0":
			return false
		}
	}
	d.fail(path, "expected true or false, got %s", describe(v))
	return false
}

// key takes a key as a string, a list of parts, or an object with the list as "root" or "parts".
func (d *decoder) key(path string, v any) Key {
	var k Key
	var err error
	switch v := v.(type) {
	case string:
		k, err = ParseKey(v)
	case []any:
		before := len(d.problems)
		if parts := d.strings(path, v); len(d.problems) == before {
			k, err = KeyOf(parts...)
		}
	case object:
		return d.wrappedKey(path, v)
	default:
		d.fail(path, `expected a key such as "video/crop", got %s`, describe(v))
	}
	if err != nil {
		d.fail(path, "%w", err)
	}
	return k
}

func (d *decoder) wrappedKey(path string, o object) Key {
	for _, name := range []string{"root", "parts"} {
		v, ok := o.get(name)
		if _, isList := v.([]any); ok && isList {
			return d.key(path+"."+name, v)
		}
	}
	d.fail(path, `expected a key such as "video/crop" or {"parts": ["video", "crop"]}, got another object`)
	return ""
}

// partedKey takes the key of a field, which must have a part because the empty key means the default field.
func (d *decoder) partedKey(path string, v any) Key {
	before := len(d.problems)
	k := d.key(path, v)
	if k == "" && len(d.problems) == before {
		d.fail(path, "%w: a field needs at least one part", ErrKey)
	}
	return k
}

// describe says what a value is, for messages.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case json.Number:
		return "the number " + v.String()
	case string:
		return fmt.Sprintf("the string %.60q", v)
	case []any:
		return "a list"
	}
	return "an object"
}
