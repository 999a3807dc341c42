package pipes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
)

// exception is an exception as it arrives.
type exception struct {
	Message        string
	Stack          []string
	Name           string
	Cause, Context *exception
}

// outline renders an exception without its stack.
func (e *exception) outline() string {
	if e == nil {
		return ""
	}
	text := e.Name + ": " + e.Message
	if e.Cause != nil {
		text += " <- (" + e.Cause.outline() + ")"
	}
	if e.Context != nil {
		text += " & (" + e.Context.outline() + ")"
	}
	return text
}

// closedWith returns the exception in the last of the messages.
func closedWith(t *testing.T, messages []pipes.Message) *exception {
	t.Helper()
	if err := pipestest.Check(messages); err != nil {
		t.Errorf("Dagster would not take the messages: %v", err)
	}
	var p struct{ Exception *exception }
	if err := json.Unmarshal(messages[len(messages)-1].Params, &p); err != nil {
		t.Fatal(err)
	}
	if p.Exception == nil {
		t.Fatalf("closed without an exception: %s", messages[len(messages)-1].Params)
	}
	return p.Exception
}

// A lengthError is an error with a name of its own.
type lengthError int

func (e lengthError) Error() string { return fmt.Sprintf("length %d", int(e)) }

// A loop is an error that is its own cause.
type loop struct{}

func (loop) Error() string   { return "loop" }
func (l loop) Unwrap() error { return l }

// A mute is an error that panics when it is asked.
type mute struct{}

func (mute) Error() string { panic("cannot say") }

func TestExceptionChain(t *testing.T) {
	t.Parallel()
	path := &fs.PathError{Op: "open", Path: "f", Err: fs.ErrNotExist}
	var missing *fs.PathError
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	for want, err := range map[string]error{
		"error: a":              a,
		"lengthError: length 3": lengthError(3),
		"PathError: open f: file does not exist <- (error: file does not exist)":                                         path,
		"error: read: length 3 <- (lengthError: length 3)":                                                               fmt.Errorf("read: %w", lengthError(3)),
		"error: a\nb\nc <- (error: a) & (error: b & (error: c))":                                                         errors.Join(a, nil, b, c),
		"error: a, b <- (error: a) & (error: b)":                                                                         fmt.Errorf("%w, %w", a, b),
		"error: x: a\nb <- (error: a\nb <- (error: a) & (error: b))":                                                     fmt.Errorf("x: %w", errors.Join(a, b)),
		"error: (its Error method panicked: runtime error: invalid memory address or nil pointer dereference) PathError": missing,
		"mute: (its Error method panicked: cannot say)":                                                                  mute{},
		"error: bad \uFFFD": errors.New("bad \xff"),
		"error: a\nb\nc <- (error: a\nb <- (error: a) & (error: b)) & (error: c)": errors.Join(errors.Join(a, b), c),
	} {
		session, messages := pipestest.Open(t, pipes.ContextData{})
		if closeErr := session.CloseWithError(err); closeErr != nil {
			t.Errorf("%s: %v", want, closeErr)
		}
		got := closedWith(t, messages())
		if text, name, ok := strings.Cut(want, ") PathError"); ok && name == "" {
			want = "PathError: " + strings.TrimPrefix(text, "error: ") + ")"
		}
		if got.outline() != want {
			t.Errorf("got %q, want %q", got.outline(), want)
		}
		if first := got.Stack[len(got.Stack)-1]; !strings.Contains(first, "TestExceptionChain") || !strings.HasSuffix(first, "\n") {
			t.Errorf("the innermost frame is %q, want this test", first)
		}
		if got.Cause != nil && (got.Cause.Stack == nil || len(got.Cause.Stack) != 0) {
			t.Errorf("the stack of the cause is %q, want an empty list", got.Cause.Stack)
		}
	}
}

func TestExceptionIsBounded(t *testing.T) {
	t.Parallel()
	var many []error
	for i := range 10_000 {
		many = append(many, fmt.Errorf("sample %d: %s", i, strings.Repeat("\x01", 100)))
	}
	for name, err := range map[string]error{"loop": loop{}, "many": errors.Join(many...)} {
		session, messages := pipestest.Open(t, pipes.ContextData{})
		if closeErr := session.CloseWithError(err); closeErr != nil {
			t.Errorf("%s: %v", name, closeErr)
		}
		got := closedWith(t, messages())
		links := 0
		for e := got; e != nil; links++ {
			if e.Cause != nil {
				e = e.Cause
			} else {
				e = e.Context
			}
		}
		if links < 2 || links > 50 {
			t.Errorf("%s: the chain has %d links, want 2 to 50", name, links)
		}
	}
}
