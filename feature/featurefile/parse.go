package featurefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// ErrFile reports a file that does not hold feature definitions.
var ErrFile = errors.New("invalid feature file")

// Parse reads the features of one file. Its name is for messages, and tells JSON (.json) from YAML. YAML may consist of
// several documents, whose features are taken together. The features belong to no project yet. The error joins every
// problem and wraps [ErrFile]; problems of a feature are *[feature.FeatureError].
func Parse(name string, data []byte) ([]feature.Definition, error) {
	p := &parser{file: name}
	p.documents(data)
	if err := errors.Join(p.problems...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	defs := make([]feature.Definition, len(p.found))
	for i, f := range p.found {
		defs[i] = f.def
	}
	return defs, nil
}

// A parser collects what a file holds.
type parser struct {
	file     string
	found    []placed
	problems []error
}

// A placed definition is one that knows where it stands.
type placed struct {
	def  feature.Definition
	file string
	line int
}

// fail reports a problem of the feature (if its name is known) at the line where it is, or else at that of n.
func (p *parser) fail(n *yaml.Node, name string, err error) {
	line := n.Line
	var at *lineError
	if errors.As(err, &at) {
		line, err = at.line, at.err
	}
	if name != "" {
		err = fmt.Errorf("feature %q: %w", name, err)
	}
	p.problems = append(p.problems, fmt.Errorf("%s:%d: %w", p.file, line, err))
}

func (p *parser) documents(data []byte) {
	read := p.yaml
	if strings.EqualFold(filepath.Ext(p.file), ".json") {
		read = p.json
	}
	if err := read(data); err != nil {
		p.problems = append(p.problems, fmt.Errorf("%s: %w", p.file, err))
	}
}

func (p *parser) json(data []byte) error {
	root, err := parseJSON(data)
	if err != nil {
		return err
	}
	p.document(root)
	if len(p.problems) > 0 {
		return nil
	}
	_, err = feature.JSONText(data) // knows more that JSON must not be
	return err
}

func (p *parser) yaml(data []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	for read := 0; ; read++ {
		var doc yaml.Node
		switch err := d.Decode(&doc); {
		case err == io.EOF && read > 0:
			return nil
		case err == io.EOF:
			return errors.New(`the file is empty; expected "features:" and a list of specs`)
		case err != nil:
			return err
		}
		p.document(doc.Content[0])
	}
}

// document reads {"features": [...]}.
func (p *parser) document(root *yaml.Node) {
	c := &converter{}
	members, err := c.members(root)
	if err != nil {
		p.fail(root, "", err)
		return
	}
	var features *yaml.Node
	for _, m := range members {
		if m.name.Value == "features" {
			features = deref(m.value)
			continue
		}
		p.fail(m.name, "", fmt.Errorf(`unknown member %q; a feature file has only "features"`, m.name.Value))
	}
	switch {
	case features == nil:
		p.fail(root, "", errors.New(`no member "features"; expected "features:" and a list of specs`))
	case features.Kind != yaml.SequenceNode:
		p.fail(features, "", fmt.Errorf(`expected a list of specs as "features", got %s`, kindName(features)))
	default:
		for i, node := range features.Content {
			p.feature(c, i, deref(node))
		}
	}
}

// feature reads one spec with its schema.
func (p *parser) feature(c *converter, position int, node *yaml.Node) {
	name := fmt.Sprintf("features[%d]", position)
	members, err := c.members(node)
	if err != nil {
		p.fail(node, name, err)
		return
	}
	for _, m := range members {
		if key := deref(m.value); m.name.Value == "key" && key.Kind == yaml.ScalarNode && key.Value != "" {
			name = key.Value
		}
	}
	def := feature.Definition{}
	spec := []byte{'{'}
	for _, m := range members {
		value, err := c.json(m.value)
		if err == nil {
			err = checkMember(m, value)
		}
		if err != nil {
			p.fail(m.name, name, err)
			return
		}
		if m.name.Value == "schema" {
			def.Schema = value
			continue
		}
		if len(spec) > 1 {
			spec = append(spec, ',')
		}
		spec = append(appendString(spec, m.name.Value), ':')
		spec = append(spec, value...)
	}
	if err := def.Spec.UnmarshalJSON(append(spec, '}')); err != nil {
		p.misread(node, err)
		return
	}
	p.found = append(p.found, placed{def, p.file, node.Line})
}

// checkMember checks what a file is stricter about than a spec: Metaxy takes a bare string for the list of its
// characters, which nobody who writes "id_columns: id" means.
func checkMember(m pair, value []byte) error {
	switch {
	case m.name.Value == "schema" && value[0] != '{':
		return errors.New("schema: expected an object that describes the columns")
	case m.name.Value == "id_columns" && value[0] == '"':
		return fmt.Errorf("id_columns: expected a list of names, got a string; write [%s]", value)
	}
	return nil
}

// misread reports the problems of a spec with the lines that they stand on.
func (p *parser) misread(node *yaml.Node, err error) {
	for _, problem := range unjoin(err) {
		line := node.Line
		var fe *feature.FeatureError
		if errors.As(problem, &fe) {
			line = lineOf(node, fe.Path)
		}
		p.fail(node, "", &lineError{line, problem})
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
