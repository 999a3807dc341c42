package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds the nesting of parentheses and NOTs, so that a hostile condition cannot exhaust the stack.
const maxDepth = 500

// Parse reads one condition. The error wraps ErrFilter and says where in the text it went wrong.
func Parse(text string) (*Expr, error) {
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("%w: the condition is empty", ErrFilter)
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{text: text, tokens: tokens}
	root, err := p.or()
	if err != nil {
		return nil, err
	}
	p.accept(";")
	if t := p.peek(); t.kind != endToken {
		return nil, p.problem(t, "%q was not expected", t.text)
	}
	n, err := asCondition(p, root)
	if err != nil {
		return nil, err
	}
	e := &Expr{text: text, root: n}
	if len(e.Columns()) == 0 {
		return nil, fmt.Errorf("%w: %q looks at no column", ErrFilter, text)
	}
	return e, nil
}

// A parser reads by recursive descent, one method per level of precedence: or, and, not, comparison, postfix, primary.
// Each returns a node, or a bare operand (column or literal) that the level above decides about.
type parser struct {
	text   string
	tokens []token
	at     int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != endToken {
		p.at++
	}
	return t
}

// accept takes the next token if it is this keyword or symbol.
func (p *parser) accept(text string) bool {
	if p.peek().is(text) {
		p.at++
		return true
	}
	return false
}

func (p *parser) problem(t token, format string, args ...any) error {
	return problem(p.text, t.at, format, args...)
}

func problem(text string, at int, format string, args ...any) error {
	return fmt.Errorf("%w: %s, at character %d of %q", ErrFilter, fmt.Sprintf(format, args...), at+1, text)
}

func (p *parser) or() (any, error) { return p.logical("OR", false, p.and) }

func (p *parser) and() (any, error) { return p.logical("AND", true, p.not) }

func (p *parser) logical(word string, and bool, below func() (any, error)) (any, error) {
	left, err := below()
	for err == nil && p.accept(word) {
		var right any
		if right, err = below(); err != nil {
			break
		}
		var l, r node
		if l, err = asCondition(p, left); err != nil {
			break
		}
		if r, err = asCondition(p, right); err != nil {
			break
		}
		left = logical{and, l, r}
	}
	return left, err
}

func (p *parser) not() (any, error) {
	if !p.accept("NOT") && !p.accept("!") {
		return p.comparison()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, p.problem(p.peek(), "the condition is nested too deeply")
	}
	defer func() { p.depth-- }()
	of, err := p.not()
	if err != nil {
		return nil, err
	}
	n, err := asCondition(p, of)
	return not{n}, err
}

var operators = map[string]operator{
	"=": equal, "==": equal, "!=": notEqual, "<>": notEqual, "<": less, "<=": lessOrEqual, ">": greater, ">=": greaterOrEqual,
}

func (p *parser) comparison() (any, error) {
	left, err := p.postfix()
	for err == nil {
		t := p.peek()
		op, ok := operators[t.text]
		if !ok || t.kind != symbolToken {
			break
		}
		p.take()
		var right any
		if right, err = p.postfix(); err == nil {
			left, err = p.compare(t, op, left, right)
		}
	}
	return left, err
}

func (p *parser) compare(t token, op operator, left, right any) (node, error) {
	for _, side := range []any{left, right} {
		if !isOperand(side) {
			return nil, p.problem(t, "%s compares columns and literals only", t.text)
		}
	}
	if isNull(left) {
		left, right = right, left
		op = [...]operator{equal, notEqual, greater, greaterOrEqual, less, lessOrEqual}[op]
	}
	if isNull(right) && (op == equal || op == notEqual) {
		return nullTest{left, op == notEqual}, nil
	}
	return comparison{op, left, right}, nil
}

// postfix reads an operand and what may follow it: IS, IN, ISNULL, NOTNULL.
func (p *parser) postfix() (any, error) {
	left, err := p.primary()
	for err == nil {
		t := p.peek()
		switch {
		case p.accept("ISNULL"):
			left, err = p.testNull(t, left, false)
		case p.accept("NOTNULL"):
			left, err = p.testNull(t, left, true)
		case p.accept("IS"):
			left, err = p.is(t, left)
		case p.accept("IN"):
			left, err = p.in(t, left)
		case t.is("NOT") && p.tokens[p.at+1].is("IN"):
			p.at += 2
			if left, err = p.in(t, left); err == nil {
				left = not{left}
			}
		default:
			return left, nil
		}
	}
	return left, err
}

func (p *parser) testNull(t token, of any, negated bool) (node, error) {
	if !isOperand(of) {
		return nil, p.problem(t, "%s tests a column or a literal only", t.text)
	}
	return nullTest{of, negated}, nil
}

// is reads what follows IS: NULL or a literal, either with NOT before it. x IS NOT TRUE is NOT (x = TRUE).
func (p *parser) is(t token, left any) (node, error) {
	negated := p.accept("NOT")
	right, err := p.primary()
	if err != nil {
		return nil, err
	}
	value, ok := right.(literal)
	if !ok || !isOperand(left) {
		return nil, p.problem(t, "IS compares with a literal only")
	}
	if value.kind == nullLiteral {
		return nullTest{left, negated}, nil
	}
	n, err := p.compare(t, equal, left, value)
	if negated {
		return not{n}, err
	}
	return n, err
}

func (p *parser) in(t token, left any) (node, error) {
	of, ok := left.(column)
	if !ok {
		return nil, p.problem(t, "IN needs a column on its left")
	}
	if !p.accept("(") {
		return nil, p.problem(p.peek(), "IN needs a list of literals in parentheses")
	}
	m := membership{of: of}
	if p.peek().is("SELECT") {
		return m, p.skipSubquery(t)
	}
	for !p.accept(")") {
		if len(m.values) > 0 && !p.accept(",") {
			return nil, p.problem(p.peek(), "the list of IN is not closed")
		}
		value, err := p.primary()
		if err != nil {
			return nil, err
		}
		v, ok := value.(literal)
		if !ok {
			return nil, p.problem(t, "IN takes literals only")
		}
		m.values = append(m.values, v)
	}
	return m, nil
}

// skipSubquery passes over a subquery, which stands for an empty list: there is nothing here to query.
func (p *parser) skipSubquery(t token) error {
	for depth := 1; depth > 0; {
		switch next := p.take(); {
		case next.kind == endToken:
			return p.problem(t, "the list of IN is not closed")
		case next.is("("):
			depth++
		case next.is(")"):
			depth--
		}
	}
	return nil
}

func (p *parser) primary() (any, error) {
	t := p.take()
	switch {
	case t.is("("):
		return p.parentheses(t)
	case t.is("-"), t.is("+"):
		return p.sign(t)
	case t.kind == stringToken:
		return literal{kind: stringLiteral, text: t.text}, nil
	case t.kind == numberToken:
		return p.number(t)
	case t.is("TRUE"), t.is("FALSE"):
		return literal{kind: boolLiteral, truth: t.is("TRUE")}, nil
	case t.is("NULL"):
		return literal{kind: nullLiteral}, nil
	case t.kind == quotedToken, t.kind == wordToken && !slices.Contains(reserved, strings.ToUpper(t.text)):
		return p.column(t)
	case t.kind == endToken:
		return nil, p.problem(t, "the condition ends too early")
	}
	return nil, p.problem(t, "%q was not expected", t.text)
}

// reserved words cannot be the name of a column unless it is in quotes.
var reserved = []string{
	"AND", "OR", "NOT", "IN", "IS", "ISNULL", "NOTNULL", "LIKE", "ILIKE", "BETWEEN", "CASE", "EXISTS", "SELECT", "XOR", "CAST", "INTERVAL",
}

func (p *parser) parentheses(t token) (any, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.problem(t, "the condition is nested too deeply")
	}
	defer func() { p.depth-- }()
	inner, err := p.or()
	if err == nil && !p.accept(")") {
		err = p.problem(p.peek(), "a parenthesis is not closed")
	}
	return inner, err
}

func (p *parser) sign(t token) (any, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.problem(t, "the condition is nested too deeply")
	}
	defer func() { p.depth-- }()
	of, err := p.primary()
	if err != nil || t.text == "+" {
		return of, err
	}
	v, ok := of.(literal)
	if !ok || v.kind != integerLiteral && v.kind != fractionLiteral {
		return nil, p.problem(t, "a minus stands before numbers only")
	}
	v.integer, v.number = -v.integer, -v.number
	return v, nil
}

func (p *parser) number(t token) (any, error) {
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return nil, p.problem(t, "%s is out of range", t.text)
	}
	if i, err := strconv.ParseInt(t.text, 10, 64); err == nil {
		return literal{kind: integerLiteral, integer: i, number: f}, nil
	}
	return literal{kind: fractionLiteral, number: f}, nil
}

// column reads a name; parts joined by dots are one name.
func (p *parser) column(t token) (any, error) {
	name := t.text
	for p.accept(".") {
		part := p.take()
		if part.kind != wordToken && part.kind != quotedToken {
			return nil, p.problem(part, "a name was expected after the dot")
		}
		name += "." + part.text
	}
	if t := p.peek(); t.is("(") || t.kind == stringToken {
		return nil, p.problem(t, "functions and typed literals are not part of the grammar")
	}
	return column{name}, nil
}

func isOperand(n any) bool {
	switch n.(type) {
	case column, literal:
		return true
	}
	return false
}

func isNull(n any) bool {
	v, ok := n.(literal)
	return ok && v.kind == nullLiteral
}

// asCondition turns a bare operand into the condition that it is true.
func asCondition(p *parser, n any) (node, error) {
	switch v := n.(type) {
	case column:
		return truth{v}, nil
	case literal:
		if v.kind != boolLiteral && v.kind != nullLiteral {
			return nil, fmt.Errorf("%w: a number or a string is not a condition, in %q", ErrFilter, p.text)
		}
		return truth{v}, nil
	}
	return n, nil
}
