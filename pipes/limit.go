package pipes

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxMessage is the length in bytes of the longest message that is sent over a channel that says nothing else of itself
// (see [Limited]); its line end counts. Longer lines of a file were seen torn by Dagster's reader. What is longer is
// split if it is text (logs, output of processes), shortened with a note if it shows something (tables, long texts,
// exceptions), and refused with an error otherwise.
const MaxMessage = 1 << 20

const (
	// maxPiece is the length in bytes of the longest message that a piece of a process's output is sent in.
	maxPiece = 64 << 10
	// maxLogText is how much of the text of one log record is sent.
	maxLogText = 4 << 20
	// envelope is more than what a message of one text has around its text.
	envelope = 256
)

// errTooLarge is wrapped by the error of a message that its channel does not carry.
var errTooLarge = errors.New("message is too large")

// Limited is a [MessageWriter] whose way to the orchestrator carries no lines longer than SafeLength bytes, their ends
// included.
type Limited interface {
	SafeLength() int
}

// carried returns the length of the longest message over a channel; asked is what the program wants, 0 for nothing.
func carried(w MessageWriter, asked int) int {
	if asked > 0 {
		return max(asked, 4*envelope)
	}
	if limited, ok := w.(Limited); ok {
		return limited.SafeLength()
	}
	return MaxMessage
}

// encode makes a message and holds it to the length that the channel carries.
func (s *Session) encode(method Method, params any) (*Message, error) {
	raw, err := marshal(params)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	m := &Message{Version: ProtocolVersion, Method: method, Params: raw}
	if m.line, err = m.Line(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(m.line) > s.limit {
		return nil, fmt.Errorf("%w: %w: it has %d bytes, and the channel carries %d safely; report less, or a link to it",
			ErrInvalid, errTooLarge, len(m.line), s.limit)
	}
	return m, nil
}

// split cuts valid text into pieces that have at most limit bytes each as a JSON string. It cuts behind a newline if one
// is in the second half of a piece, and never within a character.
func split(text string, limit int) (pieces []string) {
	for text != "" {
		n := fitting(text, limit)
		if n < len(text) {
			n = behindNewline(text, n)
		}
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

// fitting returns the length of the longest beginning of a text that has at most limit bytes as a JSON string, and at
// least one character.
func fitting(text string, limit int) int {
	size := 0
	for i, r := range text {
		if size += encodedLength(r); size > limit && i > 0 {
			return i
		}
	}
	return len(text)
}

// behindNewline returns the place behind the last newline in the second half of text[:n], or n.
func behindNewline(text string, n int) int {
	for i := n; i > n/2; i-- {
		if text[i-1] == '\n' {
			return i
		}
	}
	return n
}

// encodedLength returns at least the length of a character in a JSON string in ASCII.
func encodedLength(r rune) int {
	switch {
	case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t':
		return 2
	case r >= ' ' && r < utf8.RuneSelf:
		return 1
	case r > 0xFFFF:
		return 12
	}
	return 6
}
