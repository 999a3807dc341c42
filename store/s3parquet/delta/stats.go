package delta

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
)

// prefixLength is how many characters of a text go into the stats.
const prefixLength = 32

// A Leaf describes the values of one leaf column of a file.
type Leaf struct {
	// Path is the column and the struct members that lead to the leaf.
	Path []string
	// Min and Max are string, int64, float64, bool, json.Number (a decimal) or time.Time; nil means not known.
	Min, Max any
	// NullCount counts the rows in which the leaf or a struct around it is null.
	NullCount int64
}

// EncodeStats writes the stats of a file, for Add.Stats. The schema tells dates from moments.
func EncodeStats(rows int64, leaves []Leaf, schema *arrow.Schema) (string, error) {
	stats := struct {
		NumRecords int64          `json:"numRecords"`
		MinValues  map[string]any `json:"minValues"`
		MaxValues  map[string]any `json:"maxValues"`
		NullCount  map[string]any `json:"nullCount"`
	}{rows, map[string]any{}, map[string]any{}, map[string]any{}}
	for _, l := range leaves {
		put(stats.NullCount, l.Path, l.NullCount)
		if t := leafType(schema.Fields(), l.Path); t != nil {
			low, high := bounds(t, l.Min, l.Max)
			put(stats.MinValues, l.Path, low)
			put(stats.MaxValues, l.Path, high)
		}
	}
	text, err := marshal(stats)
	return string(text), err
}

// put sets a member of nested objects; nil is left out.
func put(object map[string]any, path []string, value any) {
	if value == nil {
		return
	}
	for _, name := range path[:len(path)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	object[path[len(path)-1]] = value
}

// leafType finds the type of a leaf; nil means that there is none.
func leafType(fields []arrow.Field, path []string) arrow.DataType {
	for _, f := range fields {
		if f.Name != path[0] {
			continue
		}
		if s, ok := f.Type.(*arrow.StructType); ok && len(path) > 1 {
			return leafType(s.Fields(), path[1:])
		}
		return f.Type
	}
	return nil
}

// bounds returns the JSON values of a lower and an upper bound. Where a bound cannot be given exactly, the lower is
// rounded down and the upper one up; nil where there is no bound to give.
func bounds(t arrow.DataType, low, high any) (any, any) {
	switch lowest := low.(type) {
	case int64, json.Number:
		return low, high
	case float64:
		if highest, ok := high.(float64); ok && finite(lowest) && finite(highest) {
			return low, high
		}
	case string:
		if highest, ok := high.(string); ok {
			return prefixBelow(lowest), prefixAbove(highest)
		}
	case time.Time:
		if highest, ok := high.(time.Time); ok {
			return timeBounds(t, lowest, highest)
		}
	}
	return nil, nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// prefixBelow cuts a text after the prefix, which does not make it greater.
func prefixBelow(s string) string {
	n := 0
	for i := range s {
		if n == prefixLength {
			return s[:i]
		}
		n++
	}
	return s
}

// prefixAbove cuts a text and raises its last character that can be raised, so that the result is greater than every
// text with the same beginning. It returns nil when no character can be raised.
func prefixAbove(s string) any {
	cut := prefixBelow(s)
	if cut == s {
		return s
	}
	for cut != "" {
		last, size := utf8.DecodeLastRuneInString(cut)
		cut = cut[:len(cut)-size]
		switch {
		case last == utf8.RuneError && size <= 1, last == utf8.MaxRune:
			continue
		case last == 0xD7FF: // the surrogates after it are no characters
			return cut + "\uE000"
		}
		return cut + string(last+1)
	}
	return nil
}

// timeBounds writes moments, wall-clock times and dates, in milliseconds as other writers do.
func timeBounds(t arrow.DataType, low, high time.Time) (any, any) {
	low, high = low.UTC(), high.UTC()
	if y := low.Year(); y < 1 || y > 9999 {
		return nil, nil
	}
	up := high.Truncate(time.Millisecond)
	if up.Before(high) {
		up = up.Add(time.Millisecond)
	}
	if y := up.Year(); y < 1 || y > 9999 {
		return nil, nil
	}
	layout := "2006-01-02T15:04:05.000Z"
	switch t := t.(type) {
	case *arrow.Date32Type:
		return low.Format(time.DateOnly), high.Format(time.DateOnly)
	case *arrow.TimestampType:
		if t.TimeZone == "" {
			layout = "2006-01-02 15:04:05.000"
		}
	}
	return low.Truncate(time.Millisecond).Format(layout), up.Format(layout)
}

// Stats are the statistics of a data file, as far as it has them.
type Stats struct {
	NumRecords *int64 // nil means not known

	min, max, nulls map[string]json.RawMessage
}

// ParseStats reads the stats of a file. Stats that cannot be read are as good as none.
func (a *Add) ParseStats() Stats {
	var s struct {
		NumRecords *int64                     `json:"numRecords"`
		MinValues  map[string]json.RawMessage `json:"minValues"`
		MaxValues  map[string]json.RawMessage `json:"maxValues"`
		NullCount  map[string]json.RawMessage `json:"nullCount"`
	}
	if a.Stats == "" || json.Unmarshal([]byte(a.Stats), &s) != nil {
		return Stats{}
	}
	return Stats{s.NumRecords, s.MinValues, s.MaxValues, s.NullCount}
}

// MayHold reports whether a string column of the file can hold a value, as far as the stats tell.
func (s Stats) MayHold(column, value string) bool {
	var low, high string
	var nulls int64
	if text(s.min[column], &low) && value < low || text(s.max[column], &high) && value > high {
		return false
	}
	if raw, ok := s.nulls[column]; ok && s.NumRecords != nil && json.Unmarshal(raw, &nulls) == nil {
		return nulls < *s.NumRecords
	}
	return true
}

// Bounds returns the least and the greatest value of a column of the file, or values beyond them, and whether it has nulls,
// as far as the stats tell; ok is false if they do not. Integers come as int64, strings as string.
func (s Stats) Bounds(column string) (low, high any, nulls, ok bool) {
	var count int64 = 1
	if raw, known := s.nulls[column]; known && json.Unmarshal(raw, &count) != nil {
		count = 1
	}
	nulls = count > 0
	var least, most string
	if text(s.min[column], &least) && text(s.max[column], &most) {
		return least, most, nulls, true
	}
	var first, last int64
	if present(s.min[column]) && present(s.max[column]) &&
		json.Unmarshal(s.min[column], &first) == nil && json.Unmarshal(s.max[column], &last) == nil {
		return first, last, nulls, true
	}
	return nil, nil, nulls, false
}

// NoNulls reports whether the file is known to have a value in a member of a struct column in every row.
func (s Stats) NoNulls(column, member string) bool {
	var members map[string]json.RawMessage
	var count int64
	return present(s.nulls[column]) && json.Unmarshal(s.nulls[column], &members) == nil &&
		present(members[member]) && json.Unmarshal(members[member], &count) == nil && count == 0
}

// Columns returns the columns outside of structs of which the file is known to have values, sorted.
func (s Stats) Columns() (names []string) {
	for name, raw := range s.nulls {
		var count int64
		if s.NumRecords != nil && json.Unmarshal(raw, &count) == nil && count < *s.NumRecords {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TextBounds returns bounds of a string column of the file; ok is false if the stats have none.
func (s Stats) TextBounds(column string) (low, high string, ok bool) {
	return low, high, text(s.min[column], &low) && text(s.max[column], &high)
}

// text reads a JSON text that holds a whole, valid string.
func text(raw json.RawMessage, into *string) bool {
	if n := len(raw); n >= 2 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) { // as most are
		*into = string(raw[1 : n-1])
		return !strings.ContainsRune(*into, utf8.RuneError)
	}
	return present(raw) && json.Unmarshal(raw, into) == nil && !strings.ContainsRune(*into, utf8.RuneError)
}
