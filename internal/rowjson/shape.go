package rowjson

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A Shape finds the columns of JSON rows and their types. The columns come in the order in which they are first seen.
type Shape struct {
	ids     map[string]bool
	columns []*seenColumn
	byName  map[string]*seenColumn
	rows    int
}

// A seenColumn is what is known about a column so far.
type seenColumn struct {
	name    string
	known   arrow.DataType // nil: the values decide
	kind    kind
	row     int // the last row that has the column, counted from 1
	members []arrow.Field
	seen    map[string]int // a by-field column's members and the last row that has them
}

// NewShape returns a shape that knows the columns of a table; nil knows none. The id columns must have one kind of value
// in all rows.
func NewShape(table *arrow.Schema, ids ...string) *Shape {
	s := &Shape{ids: map[string]bool{}, byName: map[string]*seenColumn{}}
	for _, id := range ids {
		s.ids[id] = true
	}
	if table != nil {
		for _, f := range table.Fields() {
			s.byName[f.Name] = newSeen(f.Name, f.Type)
		}
	}
	for name, t := range systemTypes() {
		if s.byName[name] == nil {
			s.byName[name] = newSeen(name, t)
		}
	}
	return s
}

// systemTypes are the types of the system columns that do not depend on the feature.
func systemTypes() map[string]arrow.DataType {
	types := map[string]arrow.DataType{}
	for _, name := range feature.SystemColumns() {
		switch name {
		case feature.ColCreatedAt, feature.ColUpdatedAt, feature.ColDeletedAt:
			types[name] = arrow.FixedWidthTypes.Timestamp_us
		case feature.ColProvenanceByField, feature.ColDataVersionByField:
			types[name] = arrow.StructOf()
		default:
			types[name] = arrow.BinaryTypes.String
		}
	}
	return types
}

func newSeen(name string, t arrow.DataType) *seenColumn {
	c := &seenColumn{name: name, known: t}
	if s, ok := t.(*arrow.StructType); ok && ByField(name) {
		c.members, c.seen = s.Fields(), map[string]int{}
		for _, m := range c.members {
			c.seen[m.Name] = 0
		}
	}
	return c
}

// Observe takes one more row into account.
func (s *Shape) Observe(obj []byte) error {
	s.rows++
	return scanObject(obj, func(name string, raw []byte) error {
		c, ok := s.byName[name]
		if !ok {
			c = newSeen(name, nil)
			s.byName[name] = c
		}
		if c.row == s.rows {
			return fmt.Errorf("has the member %q twice", name)
		}
		if c.row == 0 {
			s.columns = append(s.columns, c)
		}
		c.row = s.rows
		if err := s.observe(c, raw); err != nil {
			return fmt.Errorf("column %q: %w", name, err)
		}
		return nil
	})
}

func (s *Shape) observe(c *seenColumn, raw []byte) error {
	k := kindOf(raw)
	joined := c.kind.join(k)
	if s.ids[c.name] && c.known == nil && c.kind != kindNull && joined != c.kind {
		return fmt.Errorf("%w: %s, where other rows have another kind of value; an id has one type", ErrValue, raw)
	}
	c.kind = joined
	if c.seen == nil || k != kindObject {
		return nil
	}
	return scanMembers(raw, func(member string, _ []byte) error {
		last, ok := c.seen[member]
		if !ok {
			c.members = append(c.members, arrow.Field{Name: member, Type: arrow.BinaryTypes.String, Nullable: true})
		}
		if last == s.rows {
			return fmt.Errorf("has the member %q twice", member)
		}
		c.seen[member] = s.rows
		return nil
	})
}

// Schema returns the columns of the rows seen so far: those of the table with the table's types, and the new ones that
// have a value.
func (s *Shape) Schema() *arrow.Schema {
	var fields []arrow.Field
	for _, c := range s.columns {
		if t := c.dataType(); t != nil {
			fields = append(fields, arrow.Field{Name: c.name, Type: t, Nullable: true})
		}
	}
	return arrow.NewSchema(fields, nil)
}

// dataType is the column's type; nil for a new column without any value.
func (c *seenColumn) dataType() arrow.DataType {
	switch {
	case c.seen != nil:
		return arrow.StructOf(c.members...)
	case c.known != nil:
		return c.known
	}
	switch c.kind {
	case kindNull:
		return nil
	case kindInteger:
		return arrow.PrimitiveTypes.Int64
	case kindFraction:
		return arrow.PrimitiveTypes.Float64
	case kindBool:
		return arrow.FixedWidthTypes.Boolean
	default:
		return arrow.BinaryTypes.String
	}
}
