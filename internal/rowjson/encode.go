package rowjson

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// An Encoder writes the rows of batches of one schema. It is not safe for concurrent use; two encoders are.
type Encoder struct {
	names  [][]byte
	values []appender
}

// NewEncoder returns the encoder of rows with these columns.
func NewEncoder(schema *arrow.Schema) *Encoder {
	e := &Encoder{names: make([][]byte, schema.NumFields()), values: make([]appender, schema.NumFields())}
	for i, f := range schema.Fields() {
		e.names[i] = append(AppendString(nil, f.Name), ':')
		e.values[i] = appenderOf(f.Type, ByField(f.Name))
	}
	return e
}

// AppendRow appends row i of rec as one JSON object, without a newline.
func (e *Encoder) AppendRow(dst []byte, rec arrow.RecordBatch, i int) []byte {
	dst = append(dst, '{')
	dst = e.AppendMembers(dst, rec, i)
	return append(dst, '}')
}

// AppendMembers appends the members of row i, joined by commas and without the braces, so that a caller can put other
// members beside them.
func (e *Encoder) AppendMembers(dst []byte, rec arrow.RecordBatch, i int) []byte {
	for c, col := range rec.Columns() {
		if c > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e.names[c]...)
		dst = e.values[c](dst, col, i)
	}
	return dst
}

// AppendColumn appends the value of one column of row i, as it stands in the row's object.
func (e *Encoder) AppendColumn(dst []byte, rec arrow.RecordBatch, column, i int) []byte {
	return e.values[column](dst, rec.Column(column), i)
}

// AppendRow appends row i of rec as one JSON object. For many rows, an [Encoder] is faster.
func AppendRow(dst []byte, rec arrow.RecordBatch, i int) []byte {
	return NewEncoder(rec.Schema()).AppendRow(dst, rec, i)
}

// Appender returns [AppendValue] for the arrays of one type, which is faster for many values.
func Appender(t arrow.DataType) func(dst []byte, arr arrow.Array, i int) []byte {
	return appenderOf(t, false)
}

// AppendValue appends element i of an array as a JSON value.
func AppendValue(dst []byte, arr arrow.Array, i int) []byte {
	return appenderOf(arr.DataType(), false)(dst, arr, i)
}

// isByField reports whether a column holds a version for each field; its members are strings whatever their type.
// ByField reports whether a column holds versions by field, as an object of strings.
func ByField(name string) bool {
	return name == feature.ColProvenanceByField || name == feature.ColDataVersionByField
}

// Text is a value as text: a string as it is, anything else as its JSON form without quotes.
func Text(arr arrow.Array, row int) string {
	if s, ok := arr.(array.StringLike); ok {
		return s.Value(row)
	}
	text := string(AppendValue(nil, arr, row))
	if len(text) > 1 && text[0] == '"' {
		return text[1 : len(text)-1]
	}
	return text
}
