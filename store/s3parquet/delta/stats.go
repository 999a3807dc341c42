package delta

import (
	"encoding/json"
	"math"
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
