package rowjson

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Control characters and Unicode's line separators are escaped, so that no
// reader of lines takes one row for two; bytes that are not UTF-8 become the replacement character.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = appendEscape(append(dst, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == '\u0085' || r == '\u2028' || r == '\u2029' {
			dst = append(append(dst, s[start:i]...), '\\', 'u')
			dst = append(dst, hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
	}
}

// errSurrogate reports half of a surrogate pair, which is no character: read as the replacement character, two
// different ids could become one.
var errSurrogate = errors.New("has half a surrogate pair, which is no character")

// unquote returns the value of a valid JSON string literal.
func unquote(raw []byte) (string, error) {
	inner := string(raw[1 : len(raw)-1])
	if !strings.Contains(inner, `\`) {
		return inner, nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", err
	}
	if strings.ContainsRune(s, utf8.RuneError) {
		given := strings.Count(inner, "\ufffd") + strings.Count(strings.ToLower(inner), `\ufffd`)
		if strings.Count(s, "\ufffd") > given {
			return "", errSurrogate
		}
	}
	return s, nil
}
