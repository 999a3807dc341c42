package pipes

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
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
	if p, ok := err.(*PanicError); ok {
		return fmt.Sprint(p.Value)
	}
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
