package feature

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// hash returns the SHA-256 of s in hexadecimal, cut to the length of the options. What is cut is what the next hash
// is computed from, so another length gives other versions throughout.
func (o Options) hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	digest := hex.EncodeToString(sum[:])
	if o.TruncationLength > 0 && o.TruncationLength < len(digest) {
		return digest[:o.TruncationLength]
	}
	return digest
}

// describe computes the versions that depend on the definition alone.
func (f *Feature) describe(o Options) error {
	fields := slices.Clone(f.spec.Fields)
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(string(a.Key), string(b.Key)) })
	var code strings.Builder
	for _, field := range fields {
		code.WriteString(string(field.Key) + field.CodeVersion)
	}
	f.codeVersion = o.hash(code.String())

	spec, err := f.spec.Canonical()
	if err != nil {
		return err
	}
	f.specVersion = o.hash(spec)
	schema, err := canonicalSchema(f.schema)
	if err != nil {
		return err
	}
	f.definitionVersion = o.hash(f.specVersion + schema)
	return nil
}

func canonicalSchema(schema []byte) (string, error) {
	v, err := parseTree(schema)
	if err != nil {
		return "", fmt.Errorf("%w: schema: %w", ErrSpec, err)
	}
	if _, ok := v.(object); !ok {
		return "", fmt.Errorf("%w: schema: expected a JSON object, got %s", ErrSpec, describe(v))
	}
	w := writer{sorted: true}
	w.value(v)
	return string(w.buf), nil
}

// version computes the versions of a feature whose parents have theirs already. Where a problem leaves a field
// without a version, the feature has none.
func (a *assembly) version(f *Feature) {
	for _, field := range f.spec.Fields {
		if v, ok := a.fieldVersion(f, field); ok {
			f.versions[field.Key] = v
		}
	}
	if len(f.versions) < len(f.fields) || len(f.parents) < len(f.spec.Deps) && !f.overridden() {
		return
	}
	var input strings.Builder
	for _, key := range slices.Sorted(maps.Keys(f.versions)) {
		input.WriteString(string(key) + f.versions[key])
	}
	f.version = a.graph.options.hash(input.String())
}

func (a *assembly) fieldVersion(f *Feature, field Field) (string, bool) {
	override, overridden := f.override(field.Key)
	if len(f.parents) < len(f.spec.Deps) {
		return override, overridden // what is missing was reported, or does not matter
	}
	inputs, err := f.resolve(field)
	if err != nil {
		a.problems = append(a.problems, &FeatureError{Feature: f.Key(), Field: field.Key, Err: err})
	}
	f.inputs[field.Key] = inputs
	if overridden || err != nil {
		return override, overridden
	}
	var input strings.Builder
	input.WriteString(FieldRef{f.Key(), field.Key}.String() + field.CodeVersion)
	for _, ref := range inputs {
		v, ok := f.byKey[ref.Feature].versions[ref.Field]
		if !ok {
			return "", false
		}
		input.WriteString(v)
	}
	return a.graph.options.hash(input.String()), true
}
