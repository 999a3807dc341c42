package delta

import "strings"

// member returns the value of a member of a JSON object, as it is written there; "" if the text is no object that has it.
func member(object, name string) (found string) {
	if !eachMember(object, func(n, value string) {
		if n == name {
			found = value
		}
	}) {
		return ""
	}
	return found
}

// eachMember calls fn with the members of a JSON object in order, their values as they are written there, and reports
// whether the text is one object and nothing else. Of values it knows where they end and no more.
func eachMember(object string, fn func(name, value string)) bool {
	c := cutter{left: object}
	if !c.take('{') {
		return false
	}
	for first := true; !c.take('}'); first = false {
		if !first && !c.take(',') {
			return false
		}
		name, ok := text(c.value())
		if !ok || !c.take(':') {
			return false
		}
		value := c.value()
		if value == "" {
			return false
		}
		fn(name, value)
	}
	c.space()
	return c.left == ""
}

// A cutter cuts a JSON text into values.
type cutter struct {
	left string
}

// space takes what stands between values.
func (c *cutter) space() {
	for c.left != "" && isSpace(c.left[0]) {
		c.left = c.left[1:]
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// take takes one character, if it comes next.
func (c *cutter) take(b byte) bool {
	c.space()
	if c.left == "" || c.left[0] != b {
		return false
	}
	c.left = c.left[1:]
	return true
}

// value takes the value that comes next; "" if there is none, or not all of it.
func (c *cutter) value() string {
	c.space()
	n := valueLength(c.left)
	value := c.left[:n]
	c.left = c.left[n:]
	return value
}

// valueLength is the length of the value at the beginning of a text, 0 if there is none or not all of it.
func valueLength(s string) int {
	if s == "" {
		return 0
	}
	switch s[0] {
	case '"':
		return stringLength(s)
	case '{', '[':
	default:
		n := 0
		for n < len(s) && !isSpace(s[n]) && !strings.ContainsRune(",:]}", rune(s[n])) {
			n++
		}
		return n
	}
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			n := stringLength(s[i:])
			if n == 0 {
				return 0
			}
			i += n - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// stringLength is the length of the string at the beginning of a text with its quotes, 0 if it does not end.
func stringLength(s string) int {
	for end := 1; ; end++ {
		n := strings.IndexByte(s[end:], '"')
		if n < 0 {
			return 0
		}
		end += n
		if escapes := end - len(strings.TrimRight(s[:end], `\`)); escapes%2 == 0 {
			return end + 1
		}
	}
}
