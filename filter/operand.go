package filter

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

type valueKind int

const (
	nullKind    valueKind = iota
	integerKind           // integers and booleans
	fractionKind
	textKind
	timeKind // dates and timestamps, comparable with their own type only
)

// A boundOperand gives the value of a column or a literal in each row. Which of integer, number and text there are depends
// on its kind; none of them may be asked for a row where the operand is null.
type boundOperand struct {
	name    string
	of      arrow.DataType
	kind    valueKind
	null    func(i int) bool
	integer func(i int) int64
	number  func(i int) float64
	text    func(i int) string
}

func (o boundOperand) numeric() bool { return o.kind == integerKind || o.kind == fractionKind }

func bindOperand(n operand, rec arrow.RecordBatch) (boundOperand, error) {
	if v, ok := n.(literal); ok {
		return literalOperand(v), nil
	}
	name := n.(column).name
	at := rec.Schema().FieldIndices(name)
	if len(at) == 0 {
		return boundOperand{}, fmt.Errorf("%w: there is no column %q", ErrFilter, name)
	}
	o, ok := columnOperand(rec.Column(at[0]))
	if !ok {
		return boundOperand{}, fmt.Errorf("%w: a column of type %s cannot be compared (%q)", ErrFilter, rec.Column(at[0]).DataType(), name)
	}
	o.name = fmt.Sprintf("%q", name)
	return o, nil
}

func literalOperand(v literal) boundOperand {
	o := boundOperand{null: func(int) bool { return v.kind == nullLiteral }}
	switch v.kind {
	case nullLiteral:
		o.name, o.of, o.kind = "NULL", arrow.Null, nullKind
	case stringLiteral:
		o.name, o.of, o.kind = fmt.Sprintf("'%s'", v.text), arrow.BinaryTypes.String, textKind
		o.text = func(int) string { return v.text }
	case boolLiteral:
		o = integers(o, func(int) int64 { return int64(b2i(v.truth)) })
		o.name, o.of = fmt.Sprint(v.truth), arrow.FixedWidthTypes.Boolean
	case integerLiteral:
		o = integers(o, func(int) int64 { return v.integer })
		o.name, o.of = fmt.Sprint(v.integer), arrow.PrimitiveTypes.Int64
	case fractionLiteral:
		o.name, o.of, o.kind = fmt.Sprint(v.number), arrow.PrimitiveTypes.Float64, fractionKind
		o.number = func(int) float64 { return v.number }
	}
	return o
}

func columnOperand(values arrow.Array) (boundOperand, bool) {
	o := boundOperand{of: values.DataType(), null: values.IsNull}
	switch a := values.(type) {
	case *array.Null:
		o.null = func(int) bool { return true }
	case *array.String:
		o.kind, o.text = textKind, a.Value
	case *array.Boolean:
		o = integers(o, func(i int) int64 { return int64(b2i(a.Value(i))) })
	case *array.Int8:
		o = integers(o, func(i int) int64 { return int64(a.Value(i)) })
	case *array.Int16:
		o = integers(o, func(i int) int64 { return int64(a.Value(i)) })
	case *array.Int32:
		o = integers(o, func(i int) int64 { return int64(a.Value(i)) })
	case *array.Int64:
		o = integers(o, a.Value)
	case *array.Float32:
		o.kind, o.number = fractionKind, func(i int) float64 { return float64(a.Value(i)) }
	case *array.Float64:
		o.kind, o.number = fractionKind, a.Value
	case *array.Date32:
		o.kind, o.integer = timeKind, func(i int) int64 { return int64(a.Value(i)) }
	case *array.Timestamp:
		o.kind, o.integer = timeKind, func(i int) int64 { return int64(a.Value(i)) }
	default:
		// Nested values can be tested for null and for nothing else.
		o.kind = timeKind
		o.integer = func(int) int64 { return 0 }
		_, nested := values.DataType().(arrow.NestedType)
		return o, nested
	}
	return o, true
}

func integers(o boundOperand, at func(i int) int64) boundOperand {
	o.kind, o.integer = integerKind, at
	o.number = func(i int) float64 { return float64(at(i)) }
	return o
}
