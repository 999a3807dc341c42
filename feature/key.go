package feature

import (
	"fmt"
	"slices"
	"strings"
)

// A Key names a feature or a field: parts joined by slashes, as in "video/crop". A part has lower-case ASCII letters,
// digits, underscores and hyphens and no double underscore. The first part starts with a letter or underscore, a
// later part with anything but a hyphen. The zero Key has no parts; no feature of a [Graph] has it.
//
// A Key converted from a string constant is not checked until it gets into a Graph; [ParseKey] and [KeyOf] check.
type Key string

// ParseKey returns the key that s spells, or an error wrapping [ErrKey].
func ParseKey(s string) (Key, error) {
	return KeyOf(strings.Split(s, "/")...)
}

// KeyOf returns the key with the given parts, or an error wrapping [ErrKey].
func KeyOf(parts ...string) (Key, error) {
	for i, part := range parts {
		if problem := partProblem(i, part); problem != "" {
			return "", fmt.Errorf("%w %.100q: part %.100q %s", ErrKey, strings.Join(parts, "/"), part, problem)
		}
	}
	return Key(strings.Join(parts, "/")), nil
}

// Parts returns the parts of the key in order.
func (k Key) Parts() []string {
	if k == "" {
		return []string{}
	}
	return strings.Split(string(k), "/")
}

// Table returns the name of the feature's table where slashes are not possible: "a__b_c" for "a/b-c".
func (k Key) Table() string {
	return strings.ReplaceAll(strings.ReplaceAll(string(k), "/", "__"), "-", "_")
}

// StructKey returns the name of the field's member in by-field columns: "a_b-c" for "a/b-c".
func (k Key) StructKey() string {
	return strings.ReplaceAll(string(k), "/", "_")
}

// Suffix returns what is appended to the system columns of a parent while it is joined: "__a_b-c" for "a/b-c".
func (k Key) Suffix() string {
	return "__" + k.StructKey()
}

// Compare orders keys part by part, parts by code point: "a/z" comes before "a-b".
func (k Key) Compare(o Key) int {
	return slices.Compare(k.Parts(), o.Parts())
}

// partProblem says which rule a part of a key breaks, or "" when it breaks none. One newline may end a part, because
// Metaxy's pattern lets it through and such keys exist in its stores.
func partProblem(i int, part string) string {
	switch {
	case part == "":
		return "is empty; give every part a name"
	case strings.Contains(part, "/"):
		return `contains a slash; slashes join parts, use "_" or "-" inside one`
	case strings.Contains(part, "__"):
		return `contains "__", which joins parts in table names; use "_" or "-"`
	}
	body := strings.TrimSuffix(part, "\n")
	for j := range len(body) {
		if !keyByte(body[j], i == 0 && j == 0, j == 0) {
			return startProblem(i)
		}
	}
	if body == "" {
		return startProblem(i)
	}
	return ""
}

func keyByte(c byte, startsKey, startsPart bool) bool {
	switch {
	case 'a' <= c && c <= 'z', c == '_':
		return true
	case '0' <= c && c <= '9':
		return !startsKey
	case c == '-':
		return !startsPart
	}
	return false
}

func startProblem(i int) string {
	const letters = `may have only a-z, 0-9, "_" and "-", and `
	if i == 0 {
		return letters + `must start with a letter or "_"`
	}
	return letters + `must not start with "-"`
}
