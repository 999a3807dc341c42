package ingest

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// An idMaker makes the ids of listed objects from their paths.
type idMaker struct {
	column   string         // the id column of a template
	template string         // with {stem}, {name} and {path}
	pattern  *regexp.Regexp // with groups named after columns; nil: the template
}

// placeholder is what may stand in a template.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// newIDMaker reads --id-from.
func newIDMaker(text string, columns []string) (idMaker, error) {
	if text == "" {
		text = "{stem}"
	}
	if strings.Contains(text, "(?P<") || strings.Contains(text, "(?<") {
		return patternIDs(text, columns)
	}
	fields := placeholder.FindAllString(text, -1)
	for _, field := range fields {
		if field != "{stem}" && field != "{name}" && field != "{path}" {
			return idMaker{}, fmt.Errorf("%w: --id-from %s: there is no %s; use {stem}, {name}, {path}, or a regular "+
				"expression with named groups such as (?P<id>[^/]+)\\.mp4$", ErrSetup, text, field)
		}
	}
	if len(fields) == 0 {
		return idMaker{}, fmt.Errorf("%w: --id-from %s: gives every object one id; use {stem}, {name} or {path}",
			ErrSetup, text)
	}
	if len(columns) != 1 {
		return idMaker{}, fmt.Errorf("%w: --id-from %s: the feature has the id columns %s; use a regular expression with "+
			"a group named after each", ErrSetup, text, strings.Join(columns, ", "))
	}
	return idMaker{column: columns[0], template: text}, nil
}

func patternIDs(text string, columns []string) (idMaker, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return idMaker{}, fmt.Errorf("%w: --id-from: %w", ErrSetup, err)
	}
	for _, c := range columns {
		if !slices.Contains(re.SubexpNames(), c) {
			return idMaker{}, fmt.Errorf("%w: --id-from %s: has no group named after the id column: (?P<%s>…)",
				ErrSetup, text, c)
		}
	}
	for _, name := range re.SubexpNames() {
		if slices.Contains(listingColumns, name) {
			return idMaker{}, fmt.Errorf("%w: --id-from %s: the group %q has the name of a column of every listing",
				ErrSetup, text, name)
		}
	}
	return idMaker{pattern: re}, nil
}

// columns are the values that a path gives, in order: the id columns, and other named groups.
func (m idMaker) columns(location string) ([][2]string, error) {
	if m.pattern == nil {
		return [][2]string{{m.column, expandTemplate(m.template, location)}}, nil
	}
	groups := m.pattern.FindStringSubmatch(location)
	if groups == nil {
		return nil, fmt.Errorf("--id-from does not match %q; narrow --from with a pattern, or widen the expression", location)
	}
	var out [][2]string
	for i, name := range m.pattern.SubexpNames() {
		if name != "" {
			out = append(out, [2]string{name, groups[i]})
		}
	}
	return out, nil
}

func expandTemplate(template, location string) string {
	name := path.Base(location)
	stem := strings.TrimSuffix(name, path.Ext(name))
	if stem == "" {
		stem = name
	}
	return strings.NewReplacer("{stem}", stem, "{name}", name, "{path}", location).Replace(template)
}
