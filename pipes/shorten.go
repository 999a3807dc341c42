package pipes

import (
	"errors"
	"fmt"
	"strings"
)

// ShortenedKey names the metadata that tells what of a report had to be left out, so that its channel carries it.
const ShortenedKey = "pipes/shortened"

// keptText is the length of a text below which it is not shortened, in bytes.
const keptText = 200

// encodeReport encodes a report, which params makes of its metadata. If the channel does not carry it whole, rows of
// tables are left out first, then the ends of long texts, then column lineage and table schemas; the metadata under
// ShortenedKey says so. What is too large even then is refused.
func (s *Session) encodeReport(method Method, metadata Metadata, params func(Metadata) any) (*Message, error) {
	m, err := s.encode(method, params(metadata))
	if !errors.Is(err, errTooLarge) {
		return m, err
	}
	for short := newShortening(metadata, s.limit); short.next(); {
		m, shortErr := s.encode(method, params(short.metadata()))
		if !errors.Is(shortErr, errTooLarge) {
			return m, shortErr
		}
	}
	return nil, err
}

// shortening is metadata of which more and more is left out.
type shortening struct {
	values Metadata
	notes  map[string]string // by name of the metadata
	limit  int
}

func newShortening(metadata Metadata, limit int) *shortening {
	values := make(Metadata, len(metadata)+1)
	for name, v := range metadata {
		values[name] = v
	}
	return &shortening{values: values, notes: make(map[string]string), limit: limit}
}

// next leaves out more of what can best be spared; it returns false if there is nothing left to spare.
func (s *shortening) next() bool {
	if name := s.largest(func(v Value) bool { return v.rows != nil && v.rows.shown > 0 }); name != "" {
		v := s.values[name].withRows(s.values[name].rows.shown / 2)
		s.notes[name] = fmt.Sprintf("%d of %d rows", v.rows.shown, len(v.rows.records))
		s.values[name] = v
		return true
	}
	if name := s.largest(func(v Value) bool { return len(v.text) > keptText }); name != "" {
		v := s.values[name].withText(max(keptText, len(s.values[name].text)/2))
		s.notes[name] = fmt.Sprintf("%d of %d bytes", len(v.text), v.whole)
		s.values[name] = v
		return true
	}
	for _, kind := range []string{"table_column_lineage", "table_schema", "table"} {
		if name := s.largest(func(v Value) bool { return v.kind == kind }); name != "" {
			delete(s.values, name)
			s.notes[name] = "left out"
			return true
		}
	}
	return false
}

// largest returns the name of the value that takes the most room among those that may be shortened, "" if none may.
func (s *shortening) largest(may func(Value) bool) (largest string) {
	for name, v := range s.values {
		if !may(v) {
			continue
		}
		a, b := len(v.raw), len(s.values[largest].raw)
		if largest == "" || a > b || a == b && name < largest {
			largest = name
		}
	}
	return largest
}

// metadata returns what is left, with a note of what is not.
func (s *shortening) metadata() Metadata {
	var text strings.Builder
	for _, name := range sortedKeys(s.notes) {
		fmt.Fprintf(&text, "%s: %s; ", name, s.notes[name])
	}
	fmt.Fprintf(&text, "the channel to Dagster carries messages of %d bytes", s.limit)
	s.values[ShortenedKey] = Text(text.String())
	return s.values
}
