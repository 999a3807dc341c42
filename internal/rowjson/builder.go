package rowjson

import (
	"fmt"
	"iter"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A Builder makes Arrow batches of JSON rows. It is not safe for concurrent use.
type Builder struct {
	schema  *arrow.Schema
	columns []column
	byName  map[string]int
	rows    int // rows appended since the builder was made
	batch   int // rows of the batch that is being built
}

type column struct {
	name    string
	builder array.Builder
	set     setter
	row     int // the last row that has the column, counted from 1
}

// NewBuilder returns a builder of rows with these columns. Members of rows that are none of them are passed over. In id
// columns, a number is not taken for the string of its digits.
func NewBuilder(schema *arrow.Schema, ids ...string) (*Builder, error) {
	b := &Builder{schema: schema, columns: make([]column, schema.NumFields()), byName: map[string]int{}}
	for i, f := range schema.Fields() {
		set, err := setterOf(f.Type, ByField(f.Name))
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", f.Name, err)
		}
		if f.Type.ID() == arrow.STRING && slices.Contains(ids, f.Name) {
			set = setID
		}
		b.columns[i] = column{name: f.Name, builder: array.NewBuilder(memory.DefaultAllocator, f.Type), set: set}
		b.byName[f.Name] = i
	}
	return b, nil
}

// Append adds one row. After an error the builder is of no use.
func (b *Builder) Append(obj []byte) error {
	b.rows++
	err := scanObject(obj, func(name string, raw []byte) error {
		i, ok := b.byName[name]
		if !ok {
			return nil
		}
		c := &b.columns[i]
		if c.row == b.rows {
			return fmt.Errorf("has the member %q twice", name)
		}
		c.row = b.rows
		if err := c.set(c.builder, raw); err != nil {
			return fmt.Errorf("column %q: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range b.columns {
		if c := &b.columns[i]; c.row != b.rows {
			c.builder.AppendNull()
		}
	}
	b.batch++
	return nil
}

// Len is the number of rows that the next Batch has.
func (b *Builder) Len() int { return b.batch }

// Batch returns the rows appended since the last call.
func (b *Builder) Batch() arrow.RecordBatch {
	arrays := make([]arrow.Array, len(b.columns))
	for i, c := range b.columns {
		arrays[i] = c.builder.NewArray()
	}
	rec := array.NewRecordBatch(b.schema, arrays, int64(b.batch))
	b.batch = 0
	return rec
}

// ParseRows makes one batch of JSON objects. The columns of table keep their types, new ones get theirs from their
// values; ids are the id columns. An error names the row, counted from 1.
func ParseRows(rows iter.Seq[[]byte], table *arrow.Schema, ids ...string) (arrow.RecordBatch, error) {
	shape, n := NewShape(table, ids...), 0
	for obj := range rows {
		n++
		if err := shape.Observe(obj); err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
	}
	b, err := NewBuilder(shape.Schema(), ids...)
	if err != nil {
		return nil, err
	}
	n = 0
	for obj := range rows {
		n++
		if err := b.Append(obj); err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
	}
	return b.Batch(), nil
}
