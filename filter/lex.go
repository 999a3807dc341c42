package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	endToken tokenKind = iota
	wordToken
	quotedToken // an identifier in double quotes
	stringToken
	numberToken
	symbolToken
)

// A token is a word, a literal or a symbol, with the place in the text where it begins.
type token struct {
	kind tokenKind
	text string
	at   int
}

// is reports whether the token is a keyword, in any case, or a symbol.
func (t token) is(text string) bool {
	return t.kind == symbolToken && t.text == text || t.kind == wordToken && strings.EqualFold(t.text, text)
}

// symbols are tried in this order, longer ones first.
var symbols = []string{"==", "!=", "<>", "<=", ">=", "=", "<", ">", "!", "(", ")", ",", ".", "-", "+", ";"}

// lex cuts the text into tokens. The last one is endToken.
func lex(text string) ([]token, error) {
	var tokens []token
	for at := 0; ; {
		at = skipBlank(text, at)
		if at == len(text) {
			return append(tokens, token{kind: endToken, at: at}), nil
		}
		t, next, err := next(text, at)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		at = next
	}
}

// skipBlank returns the place of the next token: behind white space and comments.
func skipBlank(text string, at int) int {
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch {
		case unicode.IsSpace(r):
			at += size
		case strings.HasPrefix(text[at:], "--"):
			if end := strings.IndexByte(text[at:], '\n'); end >= 0 {
				at += end
			} else {
				at = len(text)
			}
		default:
			return at
		}
	}
	return at
}

func next(text string, at int) (token, int, error) {
	r, _ := utf8.DecodeRuneInString(text[at:])
	switch {
	case r == '\'':
		return quoted(text, at, stringToken)
	case r == '"':
		return quoted(text, at, quotedToken)
	case isDigit(r) || r == '.' && at+1 < len(text) && isDigit(rune(text[at+1])):
		end := numberEnd(text, at)
		if follows, _ := utf8.DecodeRuneInString(text[end:]); isWordStart(follows) {
			return token{}, 0, problem(text, at, "a number ends in letters")
		}
		return token{numberToken, text[at:end], at}, end, nil
	case isWordStart(r):
		end := at
		for end < len(text) {
			r, size := utf8.DecodeRuneInString(text[end:])
			if !isWordStart(r) && !isDigit(r) {
				break
			}
			end += size
		}
		if end < len(text) && text[end] == '\'' {
			return token{}, 0, problem(text, at, "a string has a prefix")
		}
		return token{wordToken, text[at:end], at}, end, nil
	}
	for _, s := range symbols {
		if strings.HasPrefix(text[at:], s) {
			return token{symbolToken, s, at}, at + len(s), nil
		}
	}
	return token{}, 0, problem(text, at, "%q is not part of the grammar", r)
}

// quoted reads a string or a quoted identifier; the quote itself is written twice.
func quoted(text string, at int, kind tokenKind) (token, int, error) {
	quote := text[at]
	var value strings.Builder
	for i := at + 1; i < len(text); i++ {
		if text[i] != quote {
			value.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == quote {
			value.WriteByte(quote)
			i++
			continue
		}
		return token{kind, value.String(), at}, i + 1, nil
	}
	return token{}, 0, problem(text, at, "a quote is not closed")
}

// numberEnd returns where the number that begins at a place ends: digits, a fraction, an exponent.
func numberEnd(text string, at int) int {
	end := digitsEnd(text, at)
	if end < len(text) && text[end] == '.' {
		end = digitsEnd(text, end+1)
	}
	if end < len(text) && (text[end] == 'e' || text[end] == 'E') {
		exponent := end + 1
		if exponent < len(text) && (text[exponent] == '+' || text[exponent] == '-') {
			exponent++
		}
		if stop := digitsEnd(text, exponent); stop > exponent {
			return stop
		}
	}
	return end
}

func digitsEnd(text string, at int) int {
	for at < len(text) && isDigit(rune(text[at])) {
		at++
	}
	return at
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isWordStart(r rune) bool {
	return r == '_' || r != utf8.RuneError && unicode.IsLetter(r)
}
