package engine

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A versionArrays is the computed versions of the rows of a frame.
type versionArrays struct{ byField, sample arrow.Array }

func (v *versionArrays) column(name string) arrow.Array {
	if name == feature.ColProvenanceByField || name == feature.ColDataVersionByField {
		return v.byField
	}
	return v.sample
}

// compute makes the versions of n rows from what was fetched, by the rules of versioner.combine, but with the parents'
// versions taken from where they were decoded.
func (r *frameReader) compute(parts []sourceRows, n int) (versionArrays, error) {
	sources := make([]sourceTexts, len(parts))
	for s, part := range parts {
		var err error
		if sources[s], err = r.texts(s, part, n); err != nil {
			return versionArrays{}, err
		}
	}
	out, err := computeVersions(r.versions, r.hashing, sources, n)
	_, given := r.sources[0].(*samples)
	if err == nil && !given && out.sample.NullN() > 0 { // samples that parents make are in an increment only if they have versions
		return versionArrays{}, fmt.Errorf("%w: a parent has no version of a field that is needed, where its statistics say that "+
			"there are no nulls", store.ErrCorrupt)
	}
	return out, err
}

// computeVersions makes the versions of n rows of the sources' texts.
func computeVersions(p *versionPlan, h Hashing, sources []sourceTexts, n int) (versionArrays, error) {
	v := newRowVersions(p, h, sources, n)
	for i := range n {
		v.add(i)
	}
	return v.arrays()
}

// A sourceTexts is the versions of the rows of a source, a column for each of its members.
type sourceTexts struct {
	members []cells
	missing []bool // rows that the source has no row for; nil for none
}

// texts are the versions that were fetched of a source, or those of its groups.
func (r *frameReader) texts(source int, part sourceRows, n int) (out sourceTexts, err error) {
	out.missing = part.missing
	scan := &r.scans[source]
	switch {
	case part.groups != nil:
		out.members = part.groups.texts(n)
	case part.rec != nil && len(scan.members) > 0:
		out.members, err = textColumns(part.rec, scan.byField, scan.members, nil)
	default:
		for range scan.members {
			out.members = append(out.members, nullCells(n))
		}
	}
	return out, err
}

// texts are the versions of the groups of n entries, null where an entry has none.
func (g *groups) texts(n int) []cells {
	out := make([]cells, g.members)
	for m := range out {
		c := nullCells(n)
		for i := range n {
			if g.of[i] != none {
				from, row := g.text(uint32(i), m)
				c.bytes = append(c.bytes, from.value(row)...)
				bitutil.SetBit(c.valid.bits, i)
			}
			c.offsets[i+1] = int32(len(c.bytes))
		}
		out[m] = c
	}
	return out
}

// A rowVersions computes the versions of rows one after the other, and collects them.
type rowVersions struct {
	plan    *versionPlan
	hashing Hashing
	inputs  [][]textInput // of each field
	repeats []bool        // of each field: it is made of the same as the field before

	fields []versionColumn
	sample versionColumn
	texts  []byte // what the field at hand is made of, but for its prefix
	input  []byte // of its hash
	joined []byte // the versions of the fields, as the sample's version hashes them
}

// A textInput is an inputPlan with the values.
type textInput struct {
	*inputPlan
	from    *cells
	missing []bool
}

func newRowVersions(p *versionPlan, h Hashing, sources []sourceTexts, n int) *rowVersions {
	v := &rowVersions{plan: p, hashing: h, repeats: make([]bool, len(p.fields))}
	width := len(h.Append(nil, nil)) + 1 // of most versions, or more
	for f := range p.fields {
		planned := p.fields[f].inputs
		inputs := make([]textInput, len(planned))
		for i := range inputs {
			from := &sources[planned[i].source]
			inputs[i] = textInput{&planned[i], &from.members[planned[i].text], from.missing}
		}
		v.inputs = append(v.inputs, inputs)
		v.repeats[f] = f > 0 && slices.EqualFunc(p.fields[f-1].inputs, planned, sameInput)
		v.fields = append(v.fields, newVersionColumn(n, width))
	}
	v.sample = newVersionColumn(n, width)
	return v
}

// sameInput reports whether two inputs put the same into a hash.
func sameInput(a, b inputPlan) bool {
	return bytes.Equal(a.prefix, b.prefix) && a.source == b.source && a.text == b.text && a.optional == b.optional
}

// add adds the versions of row i.
func (v *rowVersions) add(i int) {
	complete, whole := false, true
	v.joined = v.joined[:0]
	for f := range v.fields {
		if !v.repeats[f] {
			complete = v.gather(v.inputs[f], i)
		}
		if f > 0 {
			v.joined = append(v.joined, '|')
		}
		column := &v.fields[f]
		if !complete {
			column.addNull()
			whole = false
			continue
		}
		if v.plan.fields[f].given {
			column.data = append(column.data, v.texts...)
		} else {
			v.input = append(append(v.input[:0], v.plan.fields[f].prefix...), v.texts...)
			column.data = v.hashing.Append(column.data, v.input)
		}
		v.joined = append(v.joined, column.end()...)
	}
	if !whole {
		v.sample.addNull()
		return
	}
	v.sample.data = v.hashing.Append(v.sample.data, v.joined)
	v.sample.end()
}

// gather joins what a field is made of, and reports whether nothing is missing that it needs.
func (v *rowVersions) gather(inputs []textInput, i int) bool {
	texts := v.texts[:0]
	for k := range inputs {
		in := &inputs[k]
		texts = append(texts, in.prefix...)
		switch {
		case (in.missing == nil || !in.missing[i]) && !in.from.isNull(i):
			texts = in.from.appendText(texts, i)
		case !in.optional:
			return false
		}
	}
	v.texts = texts
	return true
}

func (v *rowVersions) arrays() (versionArrays, error) {
	members := make([]arrow.Array, len(v.fields))
	fields := make([]arrow.Field, len(v.fields))
	for i, f := range v.plan.output {
		members[i] = v.fields[f].array()
		fields[i] = arrow.Field{Name: v.plan.fields[f].member, Type: arrow.BinaryTypes.String, Nullable: true}
	}
	byField, err := array.NewStructArrayWithFields(members, fields)
	return versionArrays{byField: byField, sample: v.sample.array()}, err
}

// A versionColumn collects versions.
type versionColumn struct {
	offsets []int32
	data    []byte
	valid   []byte // a bit for each value; nil before the first null
	nulls   int
}

// newVersionColumn has room for n versions of so many bytes.
func newVersionColumn(n, width int) versionColumn {
	return versionColumn{offsets: append(make([]int32, 0, n+1), 0), data: make([]byte, 0, n*width)}
}

// end ends the value at the end of the data, and returns it.
func (c *versionColumn) end() []byte {
	start, row := c.offsets[len(c.offsets)-1], len(c.offsets)-1
	c.offsets = append(c.offsets, int32(len(c.data)))
	if c.valid != nil {
		bitutil.SetBit(c.valid, row)
	}
	return c.data[start:]
}

func (c *versionColumn) addNull() {
	if c.valid == nil {
		c.valid = make([]byte, bitutil.BytesForBits(int64(cap(c.offsets))))
		bitutil.SetBitsTo(c.valid, 0, int64(len(c.offsets)-1), true)
	}
	c.offsets = append(c.offsets, int32(len(c.data)))
	c.nulls++
}

func (c *versionColumn) array() arrow.Array {
	buffers := []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(c.offsets)), memory.NewBufferBytes(c.data)}
	if c.valid != nil {
		buffers[0] = memory.NewBufferBytes(c.valid)
	}
	return array.MakeFromData(array.NewData(arrow.BinaryTypes.String, len(c.offsets)-1, buffers, nil, c.nulls, 0))
}
