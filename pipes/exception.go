package pipes

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// bounds are those of an exception, so that the closed message gets through whatever the error is like.
type bounds struct {
	frames  int // of one stack
	causes  int // in one exception, all levels together
	text    int // bytes of one message
	allText int // bytes of all messages
}

// wide are the bounds that are tried first.
var wide = bounds{frames: maxFrames, causes: 50, text: 32 << 10, allText: 96 << 10}

// maxFrames is the number of frames of the longest stack.
const maxFrames = 64

// narrower returns bounds that let less through.
func (b bounds) narrower() bounds {
	return bounds{frames: b.frames / 2, causes: max(1, b.causes/2), text: b.text / 2, allText: b.allText / 2}
}

// exception is an error as the protocol has it; all five keys are there on every level. The message is the error's text
// alone, as Dagster's cross-language tests want it; Python puts the name in front of it.
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

// newPanicError returns the error of a panic; a deferred function calls it with what recover gave.
func newPanicError(value any) *PanicError {
	pcs := callers(2)
	panicking := false
	for i, pc := range pcs {
		// The panic stands below the runtime functions that raised it, which follow the deferred functions.
		name := runtime.FuncForPC(pc - 1).Name()
		if name == "runtime.gopanic" {
			panicking = true
		} else if panicking && !strings.HasPrefix(name, "runtime.") {
			return &PanicError{Value: value, pcs: pcs[i:]}
		}
	}
	return &PanicError{Value: value, pcs: pcs}
}

// callers returns the stack of the caller, without its skip innermost functions.
func callers(skip int) []uintptr {
	pcs := make([]uintptr, maxFrames)
	return pcs[:runtime.Callers(skip+2, pcs)]
}

// newException turns an error into an exception. The cause of each error is what it unwraps to; if that is several
// errors, the first is the cause and the others follow as contexts. An error with a method Callers brings its own
// stack; otherwise the first has the given one and the others have none.
func newException(err error, pcs []uintptr, within bounds) *exception {
	b := exceptionBuilder{bounds: within, left: within}
	return b.build(err, pcs)
}

// exceptionBuilder knows the bounds and what is left of them.
type exceptionBuilder struct {
	bounds, left bounds
}

// build returns the exception of an error, nil if the bounds are reached.
func (b *exceptionBuilder) build(err error, pcs []uintptr) *exception {
	if err == nil || b.left.causes == 0 {
		return nil
	}
	b.left.causes--
	if own, ok := err.(interface{ Callers() []uintptr }); ok {
		pcs = own.Callers()
	}
	text := shorten(validText(errorText(err)), min(b.bounds.text, b.left.allText))
	b.left.allText -= min(len(text), b.left.allText)
	e := &exception{Message: text, Stack: frames(pcs[:min(len(pcs), b.bounds.frames)]), Name: errorName(err)}
	b.buildAll(e, causes(err))
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

// causes returns what an error unwraps to, nothing if unwrapping it panics, as it does with many nil pointers.
func causes(err error) (list []error) {
	defer func() {
		if recover() != nil {
			list = nil
		}
	}()
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		return []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		return err.Unwrap()
	}
	return nil
}

// errorText returns what an error says, also if saying it panics.
func errorText(err error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("(its Error method panicked: %v)", v)
		}
	}()
	return err.Error()
}

// errorName returns the name of an error's type without its package. The types behind errors.New, errors.Join and
// fmt.Errorf say nothing, so they are plainly called error.
func errorName(err error) string {
	t := reflect.TypeOf(err)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[PanicError]():
		return "panic"
	case t.Name() == "" || t.PkgPath() == "errors" || t.PkgPath() == "fmt":
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
	iterator := runtime.CallersFrames(pcs)
	for more := true; more && len(list) < maxFrames; {
		var f runtime.Frame
		if f, more = iterator.Next(); f.Function != "" {
			list = append(list, fmt.Sprintf("  %s\n    %s:%d\n", f.Function, f.File, f.Line))
		}
	}
	slices.Reverse(list)
	return list
}
