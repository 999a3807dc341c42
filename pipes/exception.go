package pipes

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
)

// Bounds of an exception, so that the closed message gets through whatever the error is like.
const (
	maxFrames  = 64       // of one stack
	maxCauses  = 50       // in one exception, all levels together
	maxText    = 32 << 10 // bytes of one message
	maxAllText = 96 << 10 // bytes of all messages
)

// exception is an error as the protocol has it; all five keys are there on every level.
type exception struct {
	Message string     `json:"message"`
	Stack   []string   `json:"stack"`
	Name    string     `json:"name"`
	Cause   *exception `json:"cause"`
	Context *exception `json:"context"`
}

// A PanicError is a panic as an error: what was passed to panic and where.
type PanicError struct {
	// Value is the argument of panic; it is never nil.
	Value any

	pcs []uintptr
}

// Error tells the panic's value.
func (e *PanicError) Error() string {
	return fmt.Sprintf("panic: %v", e.Value)
}

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Callers returns the program counters of the panicking goroutine, innermost first.
func (e *PanicError) Callers() []uintptr {
	return e.pcs
}

// callers returns the stack of the caller, without its skip innermost functions.
func callers(skip int) []uintptr {
	pcs := make([]uintptr, maxFrames)
	return pcs[:runtime.Callers(skip+2, pcs)]
}

// newException turns an error into an exception. The cause of each error is what it unwraps to; if that is several
// errors, the first is the cause and the others follow as contexts. An error with a method Callers brings its own stack;
// otherwise the first has the given one and the others have none.
func newException(err error, pcs []uintptr) *exception {
	b := exceptionBuilder{text: maxAllText, count: maxCauses}
	return b.build(err, pcs)
}

// exceptionBuilder holds what is left of the bounds.
type exceptionBuilder struct {
	text, count int
}

// build returns the exception of an error, nil if the bounds are reached.
func (b *exceptionBuilder) build(err error, pcs []uintptr) *exception {
	if err == nil || b.count == 0 {
		return nil
	}
	b.count--
	if own, ok := err.(interface{ Callers() []uintptr }); ok {
		pcs = own.Callers()
	}
	name := errorName(err)
	text := shorten(validText(errorText(err)), min(maxText, b.text))
	b.text -= min(len(text), b.text)
	e := &exception{Message: name + ": " + text + "\n", Stack: frames(pcs), Name: name}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		e.Cause = b.build(err.Unwrap(), nil)
	case interface{ Unwrap() []error }:
		b.buildAll(e, err.Unwrap())
	}
	return e
}

// buildAll hangs the parts of a joined error below its exception.
func (b *exceptionBuilder) buildAll(joined *exception, parts []error) {
	link := joined
	for _, part := range parts {
		e := b.build(part, nil)
		switch {
		case e == nil:
			continue
		case joined.Cause == nil:
			joined.Cause = e
			continue
		}
		for link.Context != nil {
			link = link.Context
		}
		link.Context = e
	}
}

// errorText returns what an error says, also if saying it panics.
func errorText(err error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("(its Error method panicked: %v)", v)
		}
	}()
	text = err.Error()
	if p, ok := err.(*PanicError); ok {
		text = strings.TrimPrefix(p.Error(), "panic: ")
	}
	return text
}

// errorName returns the name of an error's type without its package. The types behind errors.New, errors.Join and
// fmt.Errorf say nothing, so they are plainly called error.
func errorName(err error) string {
	var signal *SignalError
	if p := (*PanicError)(nil); errors.As(err, &p) && p == err {
		return "panic"
	} else if errors.As(err, &signal) && signal == err {
		return "SignalError"
	}
	t := reflect.TypeOf(err)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if pkg := t.PkgPath(); t.Name() == "" || pkg == "errors" || pkg == "fmt" {
		return "error"
	}
	return t.Name()
}

// frames renders a stack, oldest call first, each ending in a newline, since the orchestrator joins them for display.
func frames(pcs []uintptr) []string {
	list := []string{}
	if len(pcs) == 0 {
		return list
	}
	iterator := runtime.CallersFrames(pcs[:min(len(pcs), maxFrames)])
	for {
		f, more := iterator.Next()
		if f.Function != "" {
			list = append(list, fmt.Sprintf("  %s\n    %s:%d\n", f.Function, f.File, f.Line))
		}
		if !more {
			break
		}
	}
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}
