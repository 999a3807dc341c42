package rowjson

import "bytes"

// A kind is what sort of value a JSON text is, as far as the choice of a column's type depends on it.
type kind int

const (
	kindNull kind = iota
	kindInteger
	kindFraction
	kindBool
	kindString
	kindList
	kindObject
)

// kindOf tells the kind of a valid JSON value. A number is a fraction when it is written with a point or an exponent.
func kindOf(raw []byte) kind {
	switch raw[0] {
	case 'n':
		return kindNull
	case 't', 'f':
		return kindBool
	case '"':
		return kindString
	case '[':
		return kindList
	case '{':
		return kindObject
	}
	if bytes.ContainsAny(raw, ".eE") {
		return kindFraction
	}
	return kindInteger
}

// join returns the kind of a column that holds values of both kinds.
func (k kind) join(o kind) kind {
	switch {
	case k == kindNull || k == o:
		return o
	case o == kindNull:
		return k
	case min(k, o) == kindInteger && max(k, o) == kindFraction:
		return kindFraction
	default:
		return kindString
	}
}
