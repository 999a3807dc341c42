package rowjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// scanObject calls fn for each member of a JSON object, in order; raw is the member's value without white space around
// it and is only valid during the call. Anything but one object is an error.
func scanObject(obj []byte, fn func(name string, raw []byte) error) error {
	if !utf8.Valid(obj) {
		return errors.New("is not UTF-8")
	}
	if !json.Valid(obj) {
		return syntaxError(obj)
	}
	obj = bytes.TrimSpace(obj)
	if obj[0] != '{' {
		return fmt.Errorf("is %s, expected an object such as {\"id\": \"a\"}", kindName(obj))
	}
	return scanMembers(obj, fn)
}

func syntaxError(obj []byte) error {
	var v any
	err := json.Unmarshal(obj, &v)
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("is not JSON: %w at byte %d", err, s.Offset)
	}
	return fmt.Errorf("is not JSON: %w", err)
}

// scanMembers walks over an object that is known to be valid.
func scanMembers(obj []byte, fn func(name string, raw []byte) error) error {
	i := skipSpace(obj, 1)
	for obj[i] != '}' {
		end := skipString(obj, i)
		name, err := unquote(obj[i:end])
		if err != nil {
			return fmt.Errorf("member name %s %w", obj[i:end], err)
		}
		i = skipSpace(obj, skipSpace(obj, end)+1)
		end = skipValue(obj, i)
		if err := fn(name, obj[i:end]); err != nil {
			return err
		}
		if i = skipSpace(obj, end); obj[i] == ',' {
			i = skipSpace(obj, i+1)
		}
	}
	return nil
}

// scanArray calls fn for each element of a JSON array that is known to be valid.
func scanArray(list []byte, fn func(raw []byte) error) error {
	i := skipSpace(list, 1)
	for list[i] != ']' {
		end := skipValue(list, i)
		if err := fn(list[i:end]); err != nil {
			return err
		}
		if i = skipSpace(list, end); list[i] == ',' {
			i = skipSpace(list, i+1)
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipValue returns the end of the value that begins at i.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		for depth := 0; ; {
			switch b[i] {
			case '"':
				i = skipString(b, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			if i++; depth == 0 {
				return i
			}
		}
	}
	for i < len(b) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(b[i])) {
		i++
	}
	return i
}

// kindName says in words what kind of value a JSON text is.
func kindName(raw []byte) string {
	switch kindOf(raw) {
	case kindNull:
		return "null"
	case kindBool:
		return "a boolean"
	case kindInteger:
		return "an integer"
	case kindFraction:
		return "a fraction"
	case kindString:
		return "a string"
	case kindList:
		return "a list"
	default:
		return "an object"
	}
}
