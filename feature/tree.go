package feature

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxDepth bounds how deep lists and objects may nest, in JSON and in metadata.
const maxDepth = 1_000

// An object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any // nil, bool, string, json.Number, []any, object, or in metadata map[string]any
}

// get returns the value of a member.
func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// parseTree reads one JSON value. Unlike encoding/json it refuses what Python refuses (text that is not Unicode) and
// what would silently lose information (a member that stands twice).
func parseTree(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("read JSON: the text is not UTF-8")
	}
	if i := loneSurrogate(data); i >= 0 {
		return nil, fmt.Errorf("read JSON: half of a surrogate pair at byte %d: write both halves", i)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("read JSON: something follows the value at byte %d", d.InputOffset())
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	t, err := d.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return parseObject(d, depth)
	case json.Delim('['):
		return parseList(d, depth)
	}
	return t, nil
}

func parseObject(d *json.Decoder, depth int) (any, error) {
	o, seen := object{}, map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := t.(string) // the decoder lets nothing else stand here
		if seen[name] {
			return nil, fmt.Errorf("member %q stands twice in one object; keep one of them", name)
		}
		seen[name] = true
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, v})
	}
	_, err := d.Token()
	return o, err
}

func parseList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

// loneSurrogate returns where an escape stands for half of a surrogate pair without the other half, or -1.
func loneSurrogate(data []byte) int {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		if surrogate(data, i) == 'h' && surrogate(data, i+6) == 'l' {
			i += 11
		} else if surrogate(data, i) != 0 {
			return i
		} else {
			i++ // the escaped byte, which may be a backslash
		}
	}
	return -1
}

// surrogate tells the high ('h') and low ('l') halves of a pair that an escape at i stands for from all else (0).
func surrogate(data []byte, i int) byte {
	if i+6 > len(data) || data[i] != '\\' || data[i+1] != 'u' || data[i+2]|0x20 != 'd' {
		return 0
	}
	switch data[i+3] | 0x20 {
	case '8', '9', 'a', 'b':
		return 'h'
	case 'c', 'd', 'e', 'f':
		return 'l'
	}
	return 0
}
