package feature

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Canonical returns the spec as JSON in the form that is hashed: as Python's json module writes it, with the members
// of every object in order of name. It fails, wrapping [ErrSpec], on metadata that has no JSON form.
func (s *Spec) Canonical() (string, error) {
	return s.text(writer{sorted: true})
}

// Text returns the spec as JSON in the form in which Metaxy stores it: as Python's json module writes it, with the
// members in the order of their declaration. It fails as Canonical does.
func (s *Spec) Text() (string, error) {
	return s.text(writer{})
}

// JSONText returns any JSON in the form in which Metaxy stores it: as Python's json module writes it, with the
// members of objects in the order that they have.
func JSONText(data []byte) (string, error) {
	v, err := parseTree(data)
	if err != nil {
		return "", err
	}
	w := writer{}
	w.value(v)
	return string(w.buf), nil
}

func (s *Spec) text(w writer) (string, error) {
	o, err := s.tree()
	if err != nil {
		return "", err
	}
	w.value(o)
	if w.err != nil {
		return "", w.err
	}
	return string(w.buf), nil
}

// A writer writes JSON as Python's json.dumps does by default: ", " and ": " as separators, ASCII only.
type writer struct {
	sorted bool // write members in order of name
	buf    []byte
	err    error // the first text that is not Unicode
}

func (w *writer) value(v any) {
	switch v := v.(type) {
	case nil:
		w.buf = append(w.buf, "null"...)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case string:
		w.string(v)
	case json.Number:
		w.buf = append(w.buf, pythonNumber(v)...)
	case []any:
		w.list(v)
	case object:
		w.object(v)
	case map[string]any:
		w.object(sortedObject(v))
	default:
		w.err = fmt.Errorf("%w: a %T has no JSON form", ErrSpec, v)
	}
}

func (w *writer) list(list []any) {
	w.buf = append(w.buf, '[')
	for i, v := range list {
		if i > 0 {
			w.buf = append(w.buf, ", "...)
		}
		w.value(v)
	}
	w.buf = append(w.buf, ']')
}

func (w *writer) object(o object) {
	if w.sorted {
		o = slices.Clone(o)
		slices.SortFunc(o, func(a, b member) int { return strings.Compare(a.name, b.name) })
	}
	w.buf = append(w.buf, '{')
	for i, m := range o {
		if i > 0 {
			w.buf = append(w.buf, ", "...)
		}
		w.string(m.name)
		w.buf = append(w.buf, ": "...)
		w.value(m.value)
	}
	w.buf = append(w.buf, '}')
}

func sortedObject(m map[string]any) object {
	o := make(object, 0, len(m))
	for name, v := range m {
		o = append(o, member{name, v})
	}
	slices.SortFunc(o, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return o
}

func (w *writer) string(s string) {
	if !utf8.ValidString(s) {
		w.err = fmt.Errorf("%w: the text %q is not UTF-8", ErrSpec, s)
		return
	}
	w.buf = append(w.buf, '"')
	for _, r := range s {
		w.rune(r)
	}
	w.buf = append(w.buf, '"')
}

func (w *writer) rune(r rune) {
	switch r {
	case '"', '\\':
		w.buf = append(w.buf, '\\', byte(r))
	case '\n':
		w.buf = append(w.buf, `\n`...)
	case '\r':
		w.buf = append(w.buf, `\r`...)
	case '\t':
		w.buf = append(w.buf, `\t`...)
	case '\b':
		w.buf = append(w.buf, `\b`...)
	case '\f':
		w.buf = append(w.buf, `\f`...)
	default:
		w.plainRune(r)
	}
}

func (w *writer) plainRune(r rune) {
	switch {
	case ' ' <= r && r <= '~':
		w.buf = append(w.buf, byte(r))
	case r > 0xffff:
		high, low := utf16.EncodeRune(r)
		w.buf = fmt.Appendf(w.buf, `\u%04x\u%04x`, high, low)
	default:
		w.buf = fmt.Appendf(w.buf, `\u%04x`, r)
	}
}

// pythonNumber writes a JSON number as Python does after reading it: integers exactly, anything with a point or an
// exponent as a float, one that is too large as null.
func pythonNumber(n json.Number) string {
	if n == "-0" {
		return "0"
	}
	if !strings.ContainsAny(string(n), ".eE") {
		return string(n)
	}
	f, err := n.Float64()
	if err != nil || math.IsInf(f, 0) {
		return "null"
	}
	return pythonFloat(f)
}

// pythonFloat writes a finite float as Python's repr does.
func pythonFloat(f float64) string {
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exponent, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exponent < -4 || exponent >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
