package lockfile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// appendJSON writes a value of a TOML file as JSON. A float stays one, so that 1.0 does not become 1, which has another
// version.
func appendJSON(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return appendString(dst, v), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(dst, "null"...), nil
		}
		return strconv.AppendFloat(dst, v, 'e', -1, 64), nil
	case time.Time:
		return appendString(dst, v.Format(time.RFC3339Nano)), nil
	case toml.LocalDate, toml.LocalTime, toml.LocalDateTime:
		return appendString(dst, fmt.Sprint(v)), nil
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendJSON(dst, item); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendString(dst, name), ':')
			var err error
			if dst, err = appendJSON(dst, v[name]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return nil, fmt.Errorf("a %T has no JSON form", v)
}

func appendString(dst []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string has always a JSON form
	return append(dst, quoted...)
}
