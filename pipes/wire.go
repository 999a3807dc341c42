package pipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of the orchestrator's JSON reader, which is Python's.
const (
	maxDepth  = 100  // Python's recursion limit is 1000 frames, several of which go into each level
	maxDigits = 4300 // Python refuses to read longer integers
)

// encodeLine writes m as one line of ASCII. ASCII, because readers differ in how they decode a stream and in what they
// take for the end of a line (Python's splitlines cuts at U+0085 and U+2028).
func encodeLine(m *Message) ([]byte, error) {
	text, err := marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s message: %w", m.Method, err)
	}
	line, err := toASCII(text)
	if err != nil {
		return nil, fmt.Errorf("encode %s message: %w", m.Method, err)
	}
	return append(line, '\n'), nil
}

// marshal is json.Marshal without the escaping of <, > and &, which only makes lines longer.
func marshal(v any) (json.RawMessage, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// toASCII escapes every character outside ASCII in a valid, compact JSON text and checks what encoding/json lets pass
// although Python's reader does not.
func toASCII(text []byte) ([]byte, error) {
	out := make([]byte, 0, len(text)+1)
	var depth, digits int
	inString := false
	for i := 0; i < len(text); {
		c := text[i]
		if inString {
			n, err := copyCharacter(&out, text[i:])
			if err != nil {
				return nil, err
			}
			inString = c != '"'
			i += n
			continue
		}
		switch {
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
		if digits++; c < '0' || c > '9' {
			digits = 0
		}
		if depth > maxDepth {
			return nil, fmt.Errorf("value is nested deeper than %d levels", maxDepth)
		}
		if digits > maxDigits {
			return nil, fmt.Errorf("number has more than %d digits", maxDigits)
		}
		out = append(out, c)
		i++
	}
	return out, nil
}

// copyCharacter appends the first character of the rest of a JSON string to out and returns its length in rest.
func copyCharacter(out *[]byte, rest []byte) (int, error) {
	switch c := rest[0]; {
	case c == '\\' && rest[1] == 'u':
		return copyEscape(out, rest)
	case c == '\\':
		*out = append(*out, rest[:2]...)
		return 2, nil
	case c < utf8.RuneSelf:
		*out = append(*out, c)
		return 1, nil
	}
	r, n := utf8.DecodeRune(rest)
	if r == utf8.RuneError && n == 1 {
		return 0, errors.New("text is not valid UTF-8")
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		*out = appendEscape(appendEscape(*out, high), low)
	} else {
		*out = appendEscape(*out, r)
	}
	return n, nil
}

// appendEscape appends the escape of a code unit.
func appendEscape(out []byte, unit rune) []byte {
	const hex = "0123456789abcdef"
	return append(out, '\\', 'u', hex[unit>>12&15], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15])
}

// copyEscape copies a \uXXXX escape, or two of them that make a surrogate pair.
func copyEscape(out *[]byte, rest []byte) (int, error) {
	r := unicodeEscape(rest)
	if !utf16.IsSurrogate(r) {
		*out = append(*out, rest[:6]...)
		return 6, nil
	}
	if utf16.DecodeRune(r, unicodeEscape(rest[6:])) == utf8.RuneError {
		return 0, errors.New("text holds a lone surrogate")
	}
	*out = append(*out, rest[:12]...)
	return 12, nil
}

// unicodeEscape returns the code unit of the escape at the start of rest, or -1 if there is none.
func unicodeEscape(rest []byte) rune {
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(rest[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(unit)
}
