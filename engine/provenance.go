package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A versionPlan says how the versions of an expected sample come about.
type versionPlan struct {
	fields []fieldPlan // ordered as the sample's version hashes them: by struct key
	output []int       // the fields in the order of the spec
}

// A fieldPlan says how the version of one field comes about.
type fieldPlan struct {
	member string      // its name in by-field columns
	key    feature.Key // its name in the spec
	prefix []byte      // what the hash input starts with
	inputs []inputPlan
	given  bool // the only input is the version itself
}

// An inputPlan is a parent field's data version in a hash input.
type inputPlan struct {
	ref      feature.FieldRef
	prefix   []byte // what stands before it
	source   int
	text     int  // of a chunk's texts
	optional bool // a null counts as the empty string
}

// planVersions plans the versions of every field, and has the members read that they need.
func (p *plan) planVersions() error {
	var fields []fieldPlan
	for _, f := range specFields(p.feature) {
		plan, err := p.planField(f)
		if err != nil {
			return err
		}
		fields = append(fields, plan)
	}
	p.versions = orderFields(fields)
	return nil
}

// orderFields takes fields in the order of the spec.
func orderFields(fields []fieldPlan) versionPlan {
	spec := make([]string, len(fields))
	for i, f := range fields {
		spec[i] = f.member
	}
	slices.SortFunc(fields, func(a, b fieldPlan) int { return cmp.Compare(a.member, b.member) })
	v := versionPlan{fields: fields}
	for _, m := range spec {
		v.output = append(v.output, slices.IndexFunc(fields, func(f fieldPlan) bool { return f.member == m }))
	}
	return v
}

func (p *plan) planField(f feature.Field) (fieldPlan, error) {
	plan := fieldPlan{member: f.Key.StructKey(), key: f.Key}
	if p.given() {
		return givenField(f, p.sources[0].addMember(plan.member)), nil
	}
	plan.prefix = []byte(string(f.Key) + "|" + f.CodeVersion)
	for _, ref := range p.feature.Inputs(f.Key) {
		i := slices.IndexFunc(p.sources, func(s source) bool { return s.scan.key == ref.Feature })
		if i < 0 {
			return fieldPlan{}, fmt.Errorf("%w: field %q depends on %q, which is not a parent", ErrPlan, f.Key, ref)
		}
		plan.inputs = append(plan.inputs, inputPlan{
			ref: ref, prefix: []byte("|" + ref.String() + "|"), source: i, optional: p.sources[i].optional,
			text: p.sources[i].addMember(ref.Field.StructKey()),
		})
	}
	return plan, nil
}

// givenField is a field whose version is the text itself.
func givenField(f feature.Field, text int) fieldPlan {
	return fieldPlan{member: f.Key.StructKey(), key: f.Key, given: true, inputs: []inputPlan{{text: text}}}
}

// addMember has a member of the by-field column read and returns its number.
func (s *source) addMember(member string) int {
	if i := slices.Index(s.scan.members, member); i >= 0 {
		return i
	}
	s.scan.members = append(s.scan.members, member)
	return len(s.scan.members) - 1
}

// A versioner computes versions, one sample at a time, in buffers that it uses again. It is not safe for concurrent
// use.
type versioner struct {
	plan    *versionPlan
	hashing Hashing
	tables  []*table
	// values are the parents' versions that the sample at hand is made from, by slot; nil for null. They are what gather
	// finds in tables, or what a caller that has them elsewhere puts there before it calls combine.
	values [][]byte
	texts  [][]byte // of values that are not stored as text, by slot
	base   []int    // of each source: its first slot
	input  []byte   // of the hash at hand
	fields []byte   // the versions of the fields, joined as the sample's version hashes them
	ends   []int    // of each field's version in fields; negative for none
	sample []byte
}

func newVersioner(p *versionPlan, h Hashing, tables []*table) *versioner {
	v := &versioner{plan: p, hashing: h, tables: tables, ends: make([]int, len(p.fields))}
	var texts []int // of each source
	for _, f := range p.fields {
		for _, in := range f.inputs {
			for len(texts) <= in.source {
				texts = append(texts, 0)
			}
			texts[in.source] = max(texts[in.source], in.text+1)
		}
	}
	n := 0
	for _, k := range texts {
		v.base = append(v.base, n)
		n += k
	}
	v.values, v.texts = make([][]byte, n), make([][]byte, n)
	return v
}

// valuesOf is the values that a source gives, n of them, or none if nothing is made of it.
func (v *versioner) valuesOf(source, n int) [][]byte {
	if source >= len(v.base) {
		return nil
	}
	return v.values[v.base[source]:][:n]
}

// take puts the values that a row of a source gives where combine looks for them.
func (v *versioner) take(source int, texts []cells, row int) {
	values := v.valuesOf(source, len(texts))
	for k := range values {
		values[k] = texts[k].text(row, &v.texts[v.base[source]+k])
	}
}

// compute returns the sample's version for a row of each table. It is valid until the next call, and false if a field
// has no version.
func (v *versioner) compute(rows []uint32) ([]byte, bool) {
	for i := range v.plan.fields {
		v.gatherField(&v.plan.fields[i], rows)
	}
	return v.combine()
}

// computeField adds the version of one field to fields, and reports whether there is one.
func (v *versioner) computeField(f *fieldPlan, rows []uint32) bool {
	v.gatherField(f, rows)
	return v.combineField(f)
}

func (v *versioner) gatherField(f *fieldPlan, rows []uint32) {
	for k := range f.inputs {
		v.gather(&f.inputs[k], rows)
	}
}

// gather finds the value of an input.
func (v *versioner) gather(in *inputPlan, rows []uint32) {
	slot := v.base[in.source] + in.text
	v.values[slot] = nil
	if entry := rows[in.source]; entry != none {
		c, row := v.tables[in.source].text(entry, in.text)
		v.values[slot] = c.text(row, &v.texts[slot])
	}
}

// combine is compute for the values at hand.
func (v *versioner) combine() ([]byte, bool) {
	v.fields = v.fields[:0]
	complete := true
	for i := range v.plan.fields {
		if i > 0 {
			v.fields = append(v.fields, '|')
		}
		if ok := v.combineField(&v.plan.fields[i]); ok {
			v.ends[i] = len(v.fields)
		} else {
			v.ends[i] = ^len(v.fields)
			complete = false
		}
	}
	if !complete {
		return nil, false
	}
	v.sample = v.hashing.Append(v.sample[:0], v.fields)
	return v.sample, true
}

// complete reports whether a sample can have a version although some of the values of a source are null, those whose bit is
// set.
func (v *versioner) complete(source int, nulls uint64) bool {
	for i := range v.plan.fields {
		for _, in := range v.plan.fields[i].inputs {
			if in.source == source && !in.optional && nulls>>in.text&1 != 0 {
				return false
			}
		}
	}
	return true
}

func (v *versioner) combineField(f *fieldPlan) bool {
	v.input = append(v.input[:0], f.prefix...)
	for k := range f.inputs {
		in := &f.inputs[k]
		v.input = append(v.input, in.prefix...)
		value := v.values[v.base[in.source]+in.text]
		if value == nil && !in.optional {
			return false
		}
		v.input = append(v.input, value...)
	}
	if f.given {
		v.fields = append(v.fields, v.input...)
	} else {
		v.fields = v.hashing.Append(v.fields, v.input)
	}
	return true
}

// field returns the version of the i-th field of the plan after compute, and whether there is one.
func (v *versioner) field(i int) ([]byte, bool) {
	if v.ends[i] < 0 {
		return nil, false
	}
	start := 0
	if i > 0 {
		if start = v.ends[i-1]; start < 0 {
			start = ^start
		}
		start++ // the separator
	}
	return v.fields[start:v.ends[i]], true
}
