package metaxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// External returns a [Processor] that lets a command compute the samples: args are the program and its arguments, and no
// shell is between. The command is started when there is the first sample, once for each worker, and kept.
//
// Each line on its stdin is a sample as a JSON object: its status, id columns, metaxy_data_version and the parents'
// columns. It answers each by one line on stdout, in any order: an object with the id columns and the columns to store,
// or with the id columns and "error". An aggregated sample has its rows in "inputs"; a sample that is expanded is answered
// by an object with the rows in "rows". Lines on stderr go to the log. At the end of stdin it should exit.
//
// A command that dies, or answers something else, is started again; the samples that it held have failed once.
func External(args []string) Processor { return &external{args: args} }

// ExternalArrow is [External] over Arrow IPC streams. Each record batch on stdin is answered by exactly one on stdout,
// whose rows have the id columns, the columns to store, and for a failed sample a text in the column "error".
func ExternalArrow(args []string) Processor { return &external{args: args, arrow: true} }

// An external processor is a set of children, of which each call takes one.
type external struct {
	args  []string
	env   []string // patterns of the variables that the command gets; nil means the usual ones
	arrow bool
	log   *slog.Logger
	rel   relation
	f     *feature.Feature

	mu       sync.Mutex
	idle     []*child
	children map[*child]bool
}

// prepare looks for the program, so that a wrong name is no failure of a sample.
func (e *external) prepare(t task) ([]string, error) {
	e.log, e.rel, e.f = t.log, t.rel, t.feature
	if len(e.args) == 0 {
		return nil, errors.New("the external processor has no command")
	}
	if _, err := exec.LookPath(e.args[0]); err != nil {
		return nil, fmt.Errorf("the external processor: %w", err)
	}
	return nil, nil
}

// paced says that samples are sent ahead while they are answered fast. Whose time is over could not be told then.
func (e *external) paced(timeout time.Duration) (time.Duration, int) {
	switch {
	case timeout > 0:
		return 0, 0
	case e.arrow:
		return arrowCallTime, maxArrowPace
	}
	return callTime, maxPace
}

// Process is for callers other than [Run]; new columns get their types from this batch alone.
func (e *external) Process(ctx context.Context, b *Batch) (arrow.RecordBatch, error) {
	if e.f == nil {
		if _, err := e.prepare(task{feature: b.Feature, rel: relationOf(b.Feature), log: b.Log}); err != nil {
			return nil, err
		}
	}
	a, err := e.answer(ctx, b)
	if err != nil || a.rows != nil {
		return a.rows, err
	}
	var rows [][]byte
	for s := range b.samples {
		rows = append(rows, bytesOf(a.objects[s])...)
	}
	return rowjson.ParseRows(func(yield func([]byte) bool) {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}, nil, b.Feature.Spec().IDColumns...)
}

func (e *external) answer(ctx context.Context, b *Batch) (answer, error) {
	c, err := e.take()
	if err != nil {
		return answer{}, err
	}
	cut := context.AfterFunc(ctx, c.kill)
	ask := c.askLines
	if e.arrow {
		ask = c.askArrow
	}
	a, open, err := ask(e.rel, b)
	if !cut() && err == nil {
		err = ctx.Err() // killed in the moment of its last answer
	}
	if err == nil {
		e.giveBack(c)
		return a, nil
	}
	c.kill()
	c.stdout.Close()
	e.forget(c)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if b.paced && len(open) > 1 { // only one of them can be what killed it
		a.back = open
		return a, nil
	}
	for _, s := range open {
		b.fail(s, &heldError{err})
	}
	return a, nil
}

// A heldError is why samples failed that a child held when it died. Any of them may be the one that killed it.
type heldError struct{ err error }

func (e *heldError) Error() string { return e.err.Error() }
func (e *heldError) Unwrap() error { return e.err }

// take returns a child that has nothing to do, or a new one.
func (e *external) take() (*child, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.idle) > 0 {
		c := e.idle[len(e.idle)-1]
		e.idle = e.idle[:len(e.idle)-1]
		if !c.gone() {
			return c, nil
		}
		c.stdout.Close()
		delete(e.children, c)
	}
	c, err := startChild(e.args, e.env, e.log.With("feature", e.f.Key()))
	if err != nil {
		return nil, fmt.Errorf("start the external processor: %w", err)
	}
	if e.children == nil {
		e.children = map[*child]bool{}
	}
	e.children[c] = true
	return c, nil
}

func (e *external) giveBack(c *child) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, c)
}

func (e *external) forget(c *child) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.children, c)
}

// Close ends the input of all children and waits until they have exited. Those that hold a sample are killed.
func (e *external) Close() error {
	e.mu.Lock()
	idle, all := e.idle, e.children
	e.idle, e.children = nil, nil
	e.mu.Unlock()
	var ending sync.WaitGroup
	for _, c := range idle {
		delete(all, c)
		ending.Go(c.end)
	}
	for c := range all {
		c.kill()
	}
	ending.Wait()
	return nil
}

// killAll kills all children at once.
func (e *external) killAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.children {
		c.kill()
	}
}
