package delta

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Stats are the statistics of a data file, as far as it has them.
type Stats struct {
	NumRecords *int64 // nil means not known

	min, max, nulls string // JSON objects by column; "" means that there is none
}

// ParseStats reads the stats of a file. Stats that cannot be read are as good as none. A scan of many small files does that
// several times for each, so that it only finds where values begin and end; those that are asked for are decoded.
func (a *Add) ParseStats() Stats {
	var s Stats
	var count string
	whole := eachMember(a.Stats, func(name, value string) {
		switch name {
		case "numRecords":
			count = value
		case "minValues":
			s.min = value
		case "maxValues":
			s.max = value
		case "nullCount":
			s.nulls = value
		}
	})
	n, ok := number(count)
	if ok {
		s.NumRecords = &n
	}
	if !whole || count != "" && count != "null" && !ok {
		return Stats{}
	}
	return s
}

// MayHold reports whether a string column of the file can hold a value, as far as the stats tell.
func (s Stats) MayHold(column, value string) bool {
	if low, ok := text(member(s.min, column)); ok && value < low {
		return false
	}
	if high, ok := text(member(s.max, column)); ok && value > high {
		return false
	}
	nulls, ok := number(member(s.nulls, column))
	return !ok || s.NumRecords == nil || nulls < *s.NumRecords
}

// Bounds returns the least and the greatest value of a column of the file, or values beyond them, and whether it has nulls,
// as far as the stats tell; ok is false if they do not. Integers come as int64, strings as string.
func (s Stats) Bounds(column string) (low, high any, nulls, ok bool) {
	count, known := number(member(s.nulls, column))
	nulls = !known || count > 0
	first, last := member(s.min, column), member(s.max, column)
	if least, ok := text(first); ok {
		most, ok := text(last)
		return least, most, nulls, ok
	}
	least, ok1 := number(first)
	most, ok2 := number(last)
	return least, most, nulls, ok1 && ok2
}

// NoNulls reports whether the file is known to have a value in a member of a struct column in every row.
func (s Stats) NoNulls(column, name string) bool {
	count, ok := number(member(member(s.nulls, column), name))
	return ok && count == 0
}

// Columns returns the columns outside of structs of which the file is known to have values, sorted.
func (s Stats) Columns() (names []string) {
	eachMember(s.nulls, func(name, value string) {
		if count, ok := number(value); ok && s.NumRecords != nil && count < *s.NumRecords {
			names = append(names, name)
		}
	})
	slices.Sort(names)
	return names
}

// TextBounds returns bounds of a string column of the file; ok is false if the stats have none.
func (s Stats) TextBounds(column string) (low, high string, ok bool) {
	low, ok1 := text(member(s.min, column))
	high, ok2 := text(member(s.max, column))
	return low, high, ok1 && ok2
}

// number reads a JSON value that is an integer.
func number(raw string) (int64, bool) {
	n, err := strconv.ParseInt(raw, 10, 64)
	return n, err == nil
}

// text reads a JSON value that is a whole, valid string.
func text(raw string) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	s := raw[1 : len(raw)-1]
	if strings.IndexByte(s, '\\') >= 0 {
		s = unescaped(raw)
	}
	return s, utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError)
}

// unescaped reads a JSON string with escapes; one that is not valid as what no valid text is.
func unescaped(raw string) string {
	var s string
	if json.Unmarshal([]byte(raw), &s) != nil {
		return string(utf8.RuneError)
	}
	return s
}
