package filter

import (
	"errors"
	"slices"
)

// ErrFilter reports a condition that cannot be parsed, or that does not fit the columns that it is evaluated on.
var ErrFilter = errors.New("filter")

// An Expr is a parsed condition. It is immutable; Parse makes one.
type Expr struct {
	text string
	root node
}

// String returns the condition as it was written.
func (e *Expr) String() string { return e.text }

// Columns returns the names of the columns that the condition looks at, sorted, each once.
func (e *Expr) Columns() []string {
	var names []string
	collect(e.root, &names)
	slices.Sort(names)
	return slices.Compact(names)
}

// A node is a part of a condition: not, logical, comparison, nullTest, membership, or an operand that is true by itself.
type node interface{}

type (
	not     struct{ of node }
	logical struct {
		and         bool
		left, right node
	}
	nullTest struct {
		of      operand
		negated bool
	}

	comparison struct {
		op          operator
		left, right operand
	}
	membership struct {
		of     column
		values []literal
	}
	// truth is an operand that stands for itself: a column or TRUE, FALSE, NULL.
	truth struct{ of operand }
)

// An operand is a column or a literal.
type operand interface{}

type (
	column  struct{ name string }
	literal struct {
		kind    literalKind
		text    string // of a string
		integer int64
		number  float64 // of a fraction, and of an integer as one
		truth   bool
	}
)

type literalKind int

const (
	nullLiteral literalKind = iota
	stringLiteral
	integerLiteral
	fractionLiteral
	boolLiteral
)

type operator int

const (
	equal operator = iota
	notEqual
	less
	lessOrEqual
	greater
	greaterOrEqual
)

// collect appends the names of the columns below a node.
func collect(n any, names *[]string) {
	switch n := n.(type) {
	case not:
		collect(n.of, names)
	case logical:
		collect(n.left, names)
		collect(n.right, names)
	case nullTest:
		collect(n.of, names)
	case comparison:
		collect(n.left, names)
		collect(n.right, names)
	case membership:
		collect(n.of, names)
	case truth:
		collect(n.of, names)
	case column:
		*names = append(*names, n.name)
	}
}
