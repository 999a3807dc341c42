package featurefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseJSON reads JSON into YAML nodes, so that both formats are checked by the same code. It does not use the YAML
// parser, which reads some JSON texts differently.
func parseJSON(data []byte) (*yaml.Node, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the file is not UTF-8")
	}
	r := &jsonReader{data: data, line: 1, decoder: json.NewDecoder(bytes.NewReader(data))}
	r.decoder.UseNumber()
	n, err := r.value(0)
	if err == nil {
		if _, end := r.decoder.Token(); end != io.EOF {
			err = errors.New("something follows the end of the JSON value")
		}
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", r.at(r.decoder.InputOffset()), err)
	}
	return n, nil
}

type jsonReader struct {
	data    []byte
	decoder *json.Decoder
	offset  int64 // up to which lines are counted
	line    int
}

// at returns the line of an offset; offsets must not go back.
func (r *jsonReader) at(offset int64) int {
	offset = max(offset, r.offset)
	r.line += bytes.Count(r.data[r.offset:offset], []byte{'\n'})
	r.offset = offset
	return r.line
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("values nested deeper than %d", maxDepth)
	}
	t, err := r.decoder.Token()
	if err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.at(r.decoder.InputOffset())}
	switch t := t.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		err = r.items(n, depth)
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case nil:
		n.Tag = "!!null"
	}
	return n, err
}

// items reads what stands between brackets or braces: for an object, names and values in turn.
func (r *jsonReader) items(n *yaml.Node, depth int) error {
	for r.decoder.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, item)
	}
	_, err := r.decoder.Token()
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
