package metaxy

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array/arreflect"
	"github.com/cenkalti/backoff/v5"

	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
)

// Each returns a [Processor] that calls fn for every sample.
//
// In and Out are structs whose fields name columns by their arrow tags: In may name a part of the sample's columns, and
// only these are read; Out names the columns to store. Pointers are for columns that may be null; in a field that is no
// pointer, null is the zero value. Out may leave out the id columns; what it has of them must be the sample's. Times are
// stored in microseconds, or as dates with the tag option date32; unsigned integers as wider signed ones.
//
// An error or a panic of fn fails that sample only. Columns that are missing, or of a type that does not fit the field,
// are reported before any sample is processed.
func Each[In, Out any](fn func(context.Context, In) (Out, error)) Processor {
	return newTyped("Each", func(ctx context.Context, in []In) ([]Out, error) {
		out, err := fn(ctx, in[0])
		return []Out{out}, err
	})
}

// Expand is [Each] for a feature that makes any number of samples from one of its parent. Out must have those of the
// feature's id columns that the parent does not have.
func Expand[In, Out any](fn func(context.Context, In) ([]Out, error)) Processor {
	return newTyped("Expand", func(ctx context.Context, in []In) ([]Out, error) { return fn(ctx, in[0]) })
}

// Aggregate is [Each] for a feature that makes one sample from a group of its parent's. The group comes in the order in
// which it is versioned.
func Aggregate[In, Out any](fn func(context.Context, []In) (Out, error)) Processor {
	return newTyped("Aggregate", func(ctx context.Context, in []In) ([]Out, error) {
		out, err := fn(ctx, in)
		return []Out{out}, err
	})
}

// A typed processor calls a function with the rows of one sample as structs.
type typed[In, Out any] struct {
	name   string // of the func that made it
	call   func(context.Context, []In) ([]Out, error)
	inputs []string // nil if In is no struct, which prepare reports
	output func() (*structWriter, error)
}

func newTyped[In, Out any](name string, fn func(context.Context, []In) ([]Out, error)) *typed[In, Out] {
	return &typed[In, Out]{name: name, call: fn, inputs: fieldNames[In](), output: sync.OnceValues(newStructWriter[Out])}
}

// guarded says that no panic leaves answer, and that it limits the time of each sample itself.
func (t *typed[In, Out]) guarded() {}

func (t *typed[In, Out]) paced(time.Duration) (time.Duration, int) { return callTime, maxPace }

func (t *typed[In, Out]) kind() string { return "go" }

// Process is for callers other than [Run]; it leaves out the samples that fail, which the batch knows.
func (t *typed[In, Out]) Process(ctx context.Context, b *Batch) (arrow.RecordBatch, error) {
	a, err := t.answer(ctx, b)
	return a.rows, err
}

func (t *typed[In, Out]) answer(ctx context.Context, b *Batch) (answer, error) {
	outs, of, left := newSeries(t, b).run(ctx)
	if len(outs) == 0 {
		return answer{left: left}, nil
	}
	w, err := t.output()
	if err != nil {
		return answer{left: left}, backoff.Permanent(err)
	}
	made, err := w.record(reflect.ValueOf(outs))
	if err != nil {
		return answer{left: left}, backoff.Permanent(fmt.Errorf("write the result: %w", err))
	}
	a := answer{rows: made, of: of, left: left}
	checkIDs(b, a)
	return a, nil
}

// reader returns a func that reads the rows of a sample. All are read at once, unless one of them cannot be read, which
// fails that sample only.
func (t *typed[In, Out]) reader(b *Batch) func(s int) ([]In, error) {
	rows := withColumns(b.Rows, t.inputs)
	all, err := arreflect.RecordToSlice[In](rows)
	if err == nil {
		return func(s int) ([]In, error) { return all[b.first[s]:b.first[s+1]:b.first[s+1]], nil }
	}
	return func(s int) ([]In, error) {
		return arreflect.RecordToSlice[In](rows.NewSlice(int64(b.first[s]), int64(b.first[s+1])))
	}
}

// checkIDs compares the ids that a result has with those of its sample. A result that has none takes the sample's.
func checkIDs(b *Batch, a answer) {
	for _, name := range b.keys {
		col := column(a.rows, name)
		if col == nil {
			continue
		}
		var want, got []byte
		for row, s := range a.of {
			smp := b.samples[s]
			want = rowjson.AppendValue(want[:0], column(smp.rows, name), smp.row)
			if got = rowjson.AppendValue(got[:0], col, row); !bytes.Equal(got, want) {
				b.fail(s, fmt.Errorf("the result has %s=%s, but its sample has %s=%s; leave the field out, or copy it", name, got, name, want))
			}
		}
	}
}

// prepare checks both structs against the columns.
func (t *typed[In, Out]) prepare(k task) ([]string, error) {
	if err := t.fits(k.rel); err != nil {
		return nil, err
	}
	in, err := inputColumns[In](k.input)
	if err != nil {
		return nil, err
	}
	return in, outputColumns[Out](k)
}

// fits reports a processor that was made for another kind of feature.
func (t *typed[In, Out]) fits(r relation) error {
	want := "Each"
	switch {
	case r.expands && r.aggregates:
		return nil
	case r.expands:
		want = "Expand"
	case r.aggregates:
		want = "Aggregate"
	}
	if t.name != want {
		return fmt.Errorf("the processor is made by metaxy.%s, but the lineage of the feature needs metaxy.%s", t.name, want)
	}
	return nil
}
