package metaxy

import (
	"encoding/binary"
	"errors"
	"fmt"

	flatbuffers "github.com/google/flatbuffers/go"
)

// The kinds of messages that have lengths of ours to check, as the Arrow format numbers them.
const (
	arrowSchema     = 1
	arrowDictionary = 2
	arrowBatch      = 3
)

// The numbers of types that have more or fewer buffers than one for validity and one for values.
const (
	arrowNull, arrowBinary, arrowText, arrowStruct, arrowUnion        = 1, 4, 5, 13, 14
	arrowFixedList, arrowLargeBinary, arrowLargeText, arrowRunEnd     = 16, 19, 20, 22
	arrowBinaryView, arrowTextView, arrowListView, arrowLargeListView = 23, 24, 25, 26
)

// arrowNeed is how much of a message the columns of a schema take. The library looks no further than that a schema asks
// for it, and reads what follows where there is less.
type arrowNeed struct {
	nodes, buffers, views int
}

// plus adds what another column takes.
func (n arrowNeed) plus(o arrowNeed) arrowNeed {
	return arrowNeed{n.nodes + o.nodes, n.buffers + o.buffers, n.views + o.views}
}

// needOf is what a column of a type takes, without those within it.
func needOf(kind byte) arrowNeed {
	switch kind {
	case arrowNull, arrowRunEnd:
		return arrowNeed{nodes: 1}
	case arrowStruct, arrowFixedList:
		return arrowNeed{nodes: 1, buffers: 1}
	case arrowBinary, arrowText, arrowLargeBinary, arrowLargeText, arrowListView, arrowLargeListView:
		return arrowNeed{nodes: 1, buffers: 3}
	case arrowBinaryView, arrowTextView:
		return arrowNeed{nodes: 1, buffers: 2, views: 1}
	}
	return arrowNeed{nodes: 1, buffers: 2}
}

// The places of fields in Arrow's FlatBuffers tables: 4 for the first one, and 2 more for each.
const (
	slotHeaderType, slotHeader, slotBodyLen, slotMessageMeta = 6, 8, 10, 12

	slotSchemaFields, slotSchemaMeta, slotSchemaFeatures = 6, 8, 10

	slotFieldName, slotFieldKind, slotFieldType, slotFieldDictionary, slotFieldChildren, slotFieldMeta = 4, 8, 10, 12, 14, 16

	slotKey, slotValue = 4, 6

	slotDictionaryID, slotDictionaryData = 4, 6

	slotNodes, slotBuffers, slotCompression, slotVariadic = 6, 8, 10, 12
)

const (
	// maxArrowFields bounds the fields of a schema, nested ones included. The format can name one field many times, so the
	// size of the message does not bound them.
	maxArrowFields = 1 << 20
	// maxArrowDepth bounds how deep types are nested.
	maxArrowDepth = 64
)

// arrowMetadata is what a message says about its body.
type arrowMetadata struct {
	bodyLen int64
	// buffers are pairs of offset and length within the body, each 8 bytes; they lie within the metadata.
	buffers []byte
	// compressed says that buffers begin with their unpacked length.
	compressed bool
}

// checkMetadata fails unless all lengths and places in a message's metadata lie within it, and it has what the schema,
// which is taken from the message that holds it, asks for.
func (s *arrowStream) checkMetadata(meta []byte) (m arrowMetadata, err error) {
	defer func() {
		if p := recover(); p != nil { // the library's answer to a place outside of the bytes
			err = fmt.Errorf("the metadata of a message is damaged: %v", p)
		}
	}()
	c := tableCheck{fields: maxArrowFields, dictionaries: s.dictionaries}
	msg := c.root(meta)
	c.pairs(msg, slotMessageMeta)
	if o := msg.Offset(slotBodyLen); o != 0 {
		m.bodyLen = msg.GetInt64(msg.Pos + flatbuffers.UOffsetT(o))
	}
	header, ok := c.child(msg, slotHeader)
	if !ok {
		return m, errors.New("a message has no header")
	}
	switch c.number(msg, slotHeaderType) {
	case arrowSchema:
		c.dictionaries = map[int64]arrowNeed{}
		s.columns, s.dictionaries = c.schema(header), c.dictionaries
	case arrowDictionary:
		need, known := s.dictionaries[c.id(header)]
		if header, ok = c.child(header, slotDictionaryData); !ok || !known {
			return m, errors.New("a dictionary belongs to no column")
		}
		c.batch(header, need, &m)
	case arrowBatch:
		c.batch(header, s.columns, &m)
	}
	return m, c.err
}

// checkBuffers fails unless each buffer lies within the body, and all of them, unpacked, within a limit.
func (m *arrowMetadata) checkBuffers(body []byte, limit int64) error {
	var unpacked int64
	for i := 0; i < len(m.buffers); i += 16 {
		start := int64(binary.LittleEndian.Uint64(m.buffers[i:]))
		n := int64(binary.LittleEndian.Uint64(m.buffers[i+8:]))
		if start < 0 || n < 0 || n > int64(len(body)) || start > int64(len(body))-n {
			return fmt.Errorf("a buffer of %d bytes at %d does not lie within the body of %d bytes", n, start, len(body))
		}
		size := n
		if m.compressed && n > 0 {
			if n < 8 {
				return fmt.Errorf("a compressed buffer has %d bytes, too few for its length", n)
			}
			if size = int64(binary.LittleEndian.Uint64(body[start:])); size == -1 { // left as it is
				size = n - 8
			} else if err := checkPacked(body[start+8:start+n], size); err != nil {
				return err
			}
		}
		if size < 0 || size > limit-unpacked {
			return fmt.Errorf("the buffers of a message have more than %d bytes when unpacked", limit)
		}
		unpacked += size
	}
	return nil
}

// tableCheck walks through tables as the Arrow library does, and before it.
type tableCheck struct {
	fields       int // how many more fields are looked at
	dictionaries map[int64]arrowNeed
	err          error
}

// root returns the table of a message.
func (c *tableCheck) root(meta []byte) flatbuffers.Table {
	return c.table(flatbuffers.Table{Bytes: meta}, flatbuffers.GetUOffsetT(meta))
}

// table returns the table at a place. It panics if its own table of places does not lie within the bytes.
func (c *tableCheck) table(t flatbuffers.Table, pos flatbuffers.UOffsetT) flatbuffers.Table {
	at := flatbuffers.Table{Bytes: t.Bytes, Pos: pos}
	places := int64(pos) - int64(at.GetSOffsetT(pos))
	if places < 0 || places > int64(len(t.Bytes))-4 {
		panic("a table's places lie outside")
	}
	return at
}

// child returns the table that a field of a table holds.
func (c *tableCheck) child(t flatbuffers.Table, slot flatbuffers.VOffsetT) (flatbuffers.Table, bool) {
	o := t.Offset(slot)
	if o == 0 {
		return flatbuffers.Table{}, false
	}
	return c.table(t, t.Indirect(t.Pos+flatbuffers.UOffsetT(o))), true
}

// number returns a field that is one byte, 0 if it is absent.
func (c *tableCheck) number(t flatbuffers.Table, slot flatbuffers.VOffsetT) byte {
	if o := t.Offset(slot); o != 0 {
		return t.GetByte(t.Pos + flatbuffers.UOffsetT(o))
	}
	return 0
}

// vector returns the elements of a field that is a vector, or a text, after making sure that they are there.
func (c *tableCheck) vector(t flatbuffers.Table, slot flatbuffers.VOffsetT, size int) []byte {
	o := t.Offset(slot)
	if o == 0 {
		return nil
	}
	n := int64(t.VectorLen(flatbuffers.UOffsetT(o)))
	start := int64(t.Vector(flatbuffers.UOffsetT(o)))
	if n < 0 || n*int64(size) > int64(len(t.Bytes))-start {
		c.fail("a vector of %d elements does not lie within the message", n)
		return nil
	}
	return t.Bytes[start : start+n*int64(size)]
}

// tables calls fn with each table of a field that is a vector of them.
func (c *tableCheck) tables(t flatbuffers.Table, slot flatbuffers.VOffsetT, fn func(flatbuffers.Table)) {
	elements := c.vector(t, slot, 4)
	if c.fields -= len(elements) / 4; c.fields < 0 {
		c.fail("a schema has more than %d fields and notes", maxArrowFields)
	}
	if len(elements) == 0 || c.err != nil {
		return
	}
	start := t.Vector(flatbuffers.UOffsetT(t.Offset(slot)))
	for i := 0; i < len(elements) && c.err == nil; i += 4 {
		fn(c.table(t, t.Indirect(start+flatbuffers.UOffsetT(i))))
	}
}

// pairs looks at notes, which are pairs of a key and a value.
func (c *tableCheck) pairs(t flatbuffers.Table, slot flatbuffers.VOffsetT) {
	c.tables(t, slot, func(pair flatbuffers.Table) {
		c.vector(pair, slotKey, 1)
		c.vector(pair, slotValue, 1)
	})
}

// id returns the number of a dictionary, by the table that says how a column uses it or the one that holds it.
func (c *tableCheck) id(t flatbuffers.Table) int64 {
	if o := t.Offset(slotDictionaryID); o != 0 {
		return t.GetInt64(t.Pos + flatbuffers.UOffsetT(o))
	}
	return 0
}

// schema looks at all fields of a schema and returns what they take.
func (c *tableCheck) schema(t flatbuffers.Table) (need arrowNeed) {
	c.pairs(t, slotSchemaMeta)
	c.vector(t, slotSchemaFeatures, 8)
	c.tables(t, slotSchemaFields, func(f flatbuffers.Table) { need = need.plus(c.field(f, maxArrowDepth)) })
	return need
}

// field looks at a field and those within it, and returns what they take.
func (c *tableCheck) field(t flatbuffers.Table, depth int) arrowNeed {
	kind := c.number(t, slotFieldKind)
	switch {
	case depth == 0:
		c.fail("types are nested deeper than %d", maxArrowDepth)
	case kind == arrowUnion:
		c.fail("a column is a union, which no table holds")
	}
	c.vector(t, slotFieldName, 1)
	c.pairs(t, slotFieldMeta)
	need := needOf(kind)
	if c.err == nil {
		c.tables(t, slotFieldChildren, func(child flatbuffers.Table) { need = need.plus(c.field(child, depth-1)) })
	}
	dictionary, ok := c.child(t, slotFieldDictionary)
	if !ok {
		return need
	}
	id := c.id(dictionary)
	if other, ok := c.dictionaries[id]; ok && other != need {
		c.fail("two columns of different types have dictionary %d", id)
	}
	c.dictionaries[id] = need
	return arrowNeed{nodes: 1, buffers: 2}
}

// batch looks at the nodes and buffers of a record batch or a dictionary, of which there must be as many as are needed.
func (c *tableCheck) batch(t flatbuffers.Table, need arrowNeed, m *arrowMetadata) {
	m.buffers = c.vector(t, slotBuffers, 16)
	m.compressed = t.Offset(slotCompression) != 0
	counts := c.vector(t, slotVariadic, 8)
	if nodes := len(c.vector(t, slotNodes, 16)) / 16; nodes < need.nodes || len(counts)/8 < need.views {
		c.fail("a batch has %d nodes and %d columns of views; its schema has %d and %d", nodes, len(counts)/8, need.nodes, need.views)
		return
	}
	left := int64(len(m.buffers)/16 - need.buffers)
	for i := range need.views {
		n := int64(binary.LittleEndian.Uint64(counts[8*i:]))
		if n < 0 || n > left {
			left = -1
			break
		}
		left -= n
	}
	if left < 0 {
		c.fail("a batch has %d buffers, and its schema asks for more", len(m.buffers)/16)
	}
}

// fail keeps the first error.
func (c *tableCheck) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}
