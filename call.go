package metaxy

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// linger is how long a processor may take to return once its context is done. Then it is given up.
const linger = 3 * time.Second

// errTimeout is the cause of a context that ended because the sample took too long.
var errTimeout = errors.New("took too long")

// A PanicError is a panic of a processor, which fails the samples it was called with.
type PanicError struct {
	// Value is the argument of panic.
	Value any
	// Stack is where it happened.
	Stack []byte
}

// Error tells the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// call runs fn with a time limit (0 means none). A panic becomes a *PanicError. If fn ignores the end of its context, its
// goroutine is left behind, so that it does not hold up the run.
func call[T any](ctx context.Context, timeout time.Duration, fn func(context.Context) (T, error)) (T, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("%w: more than %s", errTimeout, timeout))
		defer cancel()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.value, r.err = caught(ctx, fn)
		done <- r
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		giveUp := time.NewTimer(linger)
		defer giveUp.Stop()
		select {
		case r = <-done:
		case <-giveUp.C:
			r.err = fmt.Errorf("the processor did not return within %s after its context ended and is left behind: %w",
				linger, context.Cause(ctx))
		}
	}
	return r.value, because(ctx, r.err)
}

// caught calls fn and turns a panic into an error.
func caught[T any](ctx context.Context, fn func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return fn(ctx)
}

// because tells the reason for which a context ended, instead of "context deadline exceeded".
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}
