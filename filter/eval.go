package filter

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A truthValue is the outcome of a condition on a row.
type truthValue int8

const (
	isFalse truthValue = iota
	isTrue
	isUnknown
)

func truthOf(b bool) truthValue {
	if b {
		return isTrue
	}
	return isFalse
}

// A test evaluates a bound condition on row i.
type test func(i int) truthValue

// Match returns for each row of rec whether the condition is true there. The error wraps ErrFilter and names a column
// that is not there, or whose type does not fit what it is compared with.
func (e *Expr) Match(rec arrow.RecordBatch) ([]bool, error) {
	t, err := bind(e.root, rec)
	if err != nil {
		return nil, fmt.Errorf("%w, in %q", err, e.text)
	}
	passes := make([]bool, rec.NumRows())
	for i := range passes {
		passes[i] = t(i) == isTrue
	}
	return passes, nil
}

// Truth returns for each row of rec whether the condition is true, false, or unknown (null). The error is that of Match.
func (e *Expr) Truth(rec arrow.RecordBatch) (*array.Boolean, error) {
	t, err := bind(e.root, rec)
	if err != nil {
		return nil, fmt.Errorf("%w, in %q", err, e.text)
	}
	b := array.NewBooleanBuilder(memory.DefaultAllocator)
	for i := range int(rec.NumRows()) {
		switch t(i) {
		case isUnknown:
			b.AppendNull()
		case isTrue:
			b.Append(true)
		case isFalse:
			b.Append(false)
		}
	}
	return b.NewBooleanArray(), nil
}

// Check returns the error that Match would give on rows of this schema.
func (e *Expr) Check(schema *arrow.Schema) error {
	columns := make([]arrow.Array, schema.NumFields())
	for i, f := range schema.Fields() {
		columns[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, 0)
	}
	_, err := e.Match(array.NewRecordBatch(schema, columns, 0))
	return err
}

// bind resolves the columns of a condition in a batch.
func bind(n node, rec arrow.RecordBatch) (test, error) {
	switch n := n.(type) {
	case not:
		of, err := bind(n.of, rec)
		return func(i int) truthValue {
			return [...]truthValue{isFalse: isTrue, isTrue: isFalse, isUnknown: isUnknown}[of(i)]
		}, err
	case logical:
		return bindLogical(n, rec)
	case nullTest:
		of, err := bindOperand(n.of, rec)
		return func(i int) truthValue { return truthOf(of.null(i) != n.negated) }, err
	case comparison:
		return bindComparison(n, rec)
	case membership:
		return bindMembership(n, rec)
	case truth:
		return bindTruth(n, rec)
	}
	panic(fmt.Sprintf("filter: unknown node %T", n))
}

func bindLogical(n logical, rec arrow.RecordBatch) (test, error) {
	left, err := bind(n.left, rec)
	if err != nil {
		return nil, err
	}
	right, err := bind(n.right, rec)
	decisive := truthOf(!n.and) // AND is false as soon as one side is, OR is true
	return func(i int) truthValue {
		l := left(i)
		if l == decisive {
			return l
		}
		if r := right(i); r == decisive || l != isUnknown {
			return r
		}
		return isUnknown
	}, err
}

func bindTruth(n truth, rec arrow.RecordBatch) (test, error) {
	of, err := bindOperand(n.of, rec)
	if err != nil {
		return nil, err
	}
	if of.kind == textKind || of.kind == timeKind {
		return nil, fmt.Errorf("%w: column %s is not a condition by itself", ErrFilter, of.name)
	}
	return func(i int) truthValue {
		if of.null(i) {
			return isUnknown
		}
		return truthOf(of.number(i) != 0)
	}, nil
}

func bindComparison(n comparison, rec arrow.RecordBatch) (test, error) {
	left, err := bindOperand(n.left, rec)
	if err != nil {
		return nil, err
	}
	right, err := bindOperand(n.right, rec)
	if err != nil {
		return nil, err
	}
	order, err := comparer(left, right)
	return func(i int) truthValue {
		if left.null(i) || right.null(i) {
			return isUnknown
		}
		return truthOf(n.op.holds(order(i)))
	}, err
}

// holds reports whether an order (negative, zero, positive) satisfies the operator.
func (op operator) holds(order int) bool {
	return [...]bool{
		equal: order == 0, notEqual: order != 0, less: order < 0, lessOrEqual: order <= 0, greater: order > 0, greaterOrEqual: order >= 0,
	}[op]
}

func bindMembership(n membership, rec arrow.RecordBatch) (test, error) {
	of, err := bindOperand(n.of, rec)
	if err != nil {
		return nil, err
	}
	var orders []func(int) int
	for _, v := range n.values {
		if v.kind == nullLiteral {
			continue // null is a member of no list
		}
		order, err := comparer(of, literalOperand(v))
		if err != nil {
			return nil, err
		}
		orders = append(orders, order)
	}
	return func(i int) truthValue {
		if of.null(i) {
			return isUnknown
		}
		return truthOf(slices.ContainsFunc(orders, func(order func(int) int) bool { return order(i) == 0 }))
	}, nil
}

// comparer returns the order of two operands in a row where neither is null. Integers compare exactly, an integer and
// a fraction as fractions, a boolean as 0 or 1; NaN equals itself and is greater than all other numbers.
func comparer(left, right boundOperand) (func(int) int, error) {
	switch {
	case left.kind == nullKind || right.kind == nullKind:
		return func(int) int { return 0 }, nil
	case left.kind == textKind && right.kind == textKind:
		return func(i int) int { return cmp.Compare(left.text(i), right.text(i)) }, nil
	case left.kind == timeKind && right.kind == timeKind && arrow.TypeEqual(left.of, right.of),
		left.kind == integerKind && right.kind == integerKind:
		return func(i int) int { return cmp.Compare(left.integer(i), right.integer(i)) }, nil
	case left.numeric() && right.numeric():
		return func(i int) int { return compareNumbers(left.number(i), right.number(i)) }, nil
	}
	return nil, fmt.Errorf("%w: %s (%s) cannot be compared with %s (%s)", ErrFilter, left.name, left.of, right.name, right.of)
}

func compareNumbers(a, b float64) int {
	if math.IsNaN(a) || math.IsNaN(b) {
		return -cmp.Compare(b2i(!math.IsNaN(a)), b2i(!math.IsNaN(b)))
	}
	return cmp.Compare(a, b)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
