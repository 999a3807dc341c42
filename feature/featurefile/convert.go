package featurefile

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

const (
	// maxValues bounds what the aliases of a document may add up to.
	maxValues = 1_000_000
	// maxBytes bounds what the texts of a document, repeated by aliases, may add up to.
	maxBytes = 64 << 20
	// maxDepth bounds how deep values may nest.
	maxDepth = 1_000
)

// A converter turns YAML into JSON. Its errors are *lineError.
type converter struct {
	values int // converted so far
	bytes  int // in the scalars converted so far
	depth  int
}

// A pair is a member of a mapping.
type pair struct{ name, value *yaml.Node }

// A lineError is a problem of a line.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

func (e *lineError) Unwrap() error { return e.err }

func errorAt(n *yaml.Node, format string, args ...any) error {
	return &lineError{n.Line, fmt.Errorf(format, args...)}
}

// deref follows an alias to what it stands for.
func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// json returns the node as JSON.
func (c *converter) json(n *yaml.Node) ([]byte, error) {
	return c.append(nil, n)
}

func (c *converter) append(dst []byte, n *yaml.Node) ([]byte, error) {
	if c.values++; c.values > maxValues {
		return nil, errorAt(n, "more than %d values; do aliases multiply them?", maxValues)
	}
	if c.depth++; c.depth > maxDepth {
		return nil, errorAt(n, "values nested deeper than %d; is an alias part of itself?", maxDepth)
	}
	defer func() { c.depth-- }()
	switch n = deref(n); n.Kind {
	case yaml.MappingNode:
		return c.appendMapping(dst, n)
	case yaml.SequenceNode:
		return c.appendSequence(dst, n)
	case yaml.ScalarNode:
		if c.bytes += len(n.Value); c.bytes > maxBytes {
			return nil, errorAt(n, "more than %d bytes of text; do aliases multiply it?", maxBytes)
		}
		return appendScalar(dst, n)
	}
	return nil, errorAt(n, "unexpected YAML")
}

func (c *converter) appendMapping(dst []byte, n *yaml.Node) ([]byte, error) {
	pairs, err := c.members(n)
	if err != nil {
		return nil, err
	}
	dst = append(dst, '{')
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, p.name.Value), ':')
		if dst, err = c.append(dst, p.value); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

func (c *converter) appendSequence(dst []byte, n *yaml.Node) ([]byte, error) {
	var err error
	dst = append(dst, '[')
	for i, item := range n.Content {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = c.append(dst, item); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// members returns the members of a mapping, those that it merges last. A name that stands twice is an error.
func (c *converter) members(n *yaml.Node) ([]pair, error) {
	if n = deref(n); n.Kind != yaml.MappingNode {
		return nil, errorAt(n, "expected a mapping of names to values, got %s", kindName(n))
	}
	var pairs []pair
	var merged []*yaml.Node
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := deref(n.Content[i]), n.Content[i+1]
		switch first, taken := lines[name.Value]; {
		case name.Kind == yaml.ScalarNode && name.ShortTag() == "!!merge":
			merged = append(merged, value)
			continue
		case name.Kind != yaml.ScalarNode || name.ShortTag() != "!!str":
			return nil, errorAt(name, "member names are strings; write %q in quotes", name.Value)
		case taken:
			return nil, errorAt(name, "member %q stands twice, first in line %d; keep one", name.Value, first)
		}
		lines[name.Value] = name.Line
		pairs = append(pairs, pair{name, value})
	}
	return c.merge(pairs, lines, merged)
}

// merge adds the members of merged mappings that are not there yet; of several mappings the first wins.
func (c *converter) merge(pairs []pair, lines map[string]int, merged []*yaml.Node) ([]pair, error) {
	for len(merged) > 0 {
		n := deref(merged[0])
		merged = merged[1:]
		if c.values++; c.values > maxValues {
			return nil, errorAt(n, "more than %d values; does a merge contain itself?", maxValues)
		}
		if n.Kind == yaml.SequenceNode {
			merged = append(append([]*yaml.Node{}, n.Content...), merged...)
			continue
		}
		if c.depth++; c.depth > maxDepth {
			return nil, errorAt(n, "values nested deeper than %d; does a merge contain itself?", maxDepth)
		}
		more, err := c.members(n)
		c.depth--
		if err != nil {
			return nil, err
		}
		for _, p := range more {
			if _, taken := lines[p.name.Value]; !taken {
				lines[p.name.Value] = p.name.Line
				pairs = append(pairs, p)
			}
		}
	}
	return pairs, nil
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return fmt.Sprintf("%.60q", n.Value)
	}
	return "something else"
}

// appendScalar writes a scalar as JSON. Numbers keep their digits; a time stays the text that it is written as; NaN
// and the infinities, which JSON lacks, become null as they do in Metaxy.
func appendScalar(dst []byte, n *yaml.Node) ([]byte, error) {
	switch tag := n.ShortTag(); tag {
	case "!!null":
		return append(dst, "null"...), nil
	case "!!str", "!!timestamp":
		return appendString(dst, n.Value), nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, errorAt(n, "read boolean: %w", err)
		}
		return strconv.AppendBool(dst, b), nil
	case "!!int", "!!float":
		return appendNumber(dst, n)
	default:
		return nil, errorAt(n, "values of the YAML type %s have no JSON form; write a string", tag)
	}
}

func appendNumber(dst []byte, n *yaml.Node) ([]byte, error) {
	if isJSONNumber(n.Value) && n.Style&yaml.TaggedStyle == 0 {
		return append(dst, n.Value...), nil
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, errorAt(n, "read number: %w", err)
	}
	switch v := v.(type) {
	case int, int64, uint64:
		return fmt.Append(dst, v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return append(dst, "null"...), nil
		}
		return strconv.AppendFloat(dst, v, 'e', -1, 64), nil
	}
	return nil, errorAt(n, "write the number %q in decimal digits", n.Value)
}

func isJSONNumber(s string) bool {
	return s != "" && (s[0] == '-' || '0' <= s[0] && s[0] <= '9') && json.Valid([]byte(s))
}

func appendString(dst []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string has always a JSON form
	return append(dst, quoted...)
}
