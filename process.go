package metaxy

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Processor computes the rows of a feature for a batch of samples. Each row needs the feature's id columns, by which
// it is matched to its sample; the order does not matter, and the system columns are added later. Of the other columns,
// all are stored. Process is called from several goroutines at once and should return soon after ctx is done.
//
// For a sample that cannot be computed there is [Batch.Fail]; an error fails every sample of the batch. An error that is
// wrapped by backoff.Permanent is not tried again in the same run. A processor that is an io.Closer is closed at the end.
type Processor interface {
	Process(ctx context.Context, b *Batch) (arrow.RecordBatch, error)
}

// ProcessorFunc is a function that is a [Processor].
type ProcessorFunc func(ctx context.Context, b *Batch) (arrow.RecordBatch, error)

// Process calls f.
func (f ProcessorFunc) Process(ctx context.Context, b *Batch) (arrow.RecordBatch, error) {
	return f(ctx, b)
}

// A Batch is some samples to compute.
type Batch struct {
	// Feature is what is computed.
	Feature *feature.Feature
	// Status says whether the samples are new or stale; a batch has one kind.
	Status engine.Status
	// Rows are the samples: the id columns, the parents' columns, the four version columns. A sample has one row, but
	// one for each input when the feature aggregates; the rows of a sample follow each other.
	Rows arrow.RecordBatch
	// Log is where to say something about the samples.
	Log *slog.Logger

	keys    []string      // the columns that tell samples apart
	samples []sample      // in the order of Rows
	first   []int         // the row at which each sample begins, and at the end the number of rows
	timeout time.Duration // for one sample; 0 means none
	paced   bool          // the call may leave samples at the end alone
	spare   bool          // given back by another worker
	number  int           // of the intake; parts of a batch have its number

	mu     sync.Mutex
	failed map[int]error // by sample
}

// Fail marks the sample that row i of Rows belongs to as failed. Its rows are not stored, the other samples' are, and
// the next run tries it again.
func (b *Batch) Fail(i int, err error) {
	if i < 0 || int64(i) >= b.Rows.NumRows() {
		panic(fmt.Sprintf("metaxy: Fail(%d) on a batch of %d rows", i, b.Rows.NumRows()))
	}
	b.fail(b.sampleOf(i), err)
}

func (b *Batch) fail(s int, err error) {
	if err == nil {
		err = fmt.Errorf("the processor gave no reason")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = map[int]error{}
	}
	if b.failed[s] == nil {
		b.failed[s] = err
	}
}

// failures returns a copy, since a call that was given up may still be marking samples.
func (b *Batch) failures() map[int]error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.failed)
}

// cut leaves the first n samples in the batch and returns one of the others, nil if there are none.
func (b *Batch) cut(n int) *Batch {
	if n == len(b.samples) {
		return nil
	}
	row := b.first[n]
	rest := &Batch{Feature: b.Feature, Status: b.Status, Log: b.Log, keys: b.keys, timeout: b.timeout, paced: b.paced, number: b.number,
		Rows: b.Rows.NewSlice(int64(row), b.Rows.NumRows()), samples: b.samples[n:]}
	for _, at := range b.first[n:] {
		rest.first = append(rest.first, at-row)
	}
	b.Rows, b.samples, b.first = b.Rows.NewSlice(0, int64(row)), b.samples[:n], b.first[:n+1]
	return rest
}

// sampleOf returns the sample that a row belongs to.
func (b *Batch) sampleOf(row int) int {
	lo, hi := 0, len(b.samples)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; b.first[mid] <= row {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// byKey finds samples.
func (b *Batch) byKey() map[string]int {
	byKey := make(map[string]int, len(b.samples))
	for s, smp := range b.samples {
		byKey[smp.key] = s
	}
	return byKey
}

// subset returns a batch of some of the samples, with no failures.
func (b *Batch) subset(samples []int) (*Batch, error) {
	out := &Batch{Feature: b.Feature, Status: b.Status, Log: b.Log, keys: b.keys, timeout: b.timeout, paced: b.paced, number: b.number,
		first: []int{0}}
	var rows []int
	for _, s := range samples {
		for r := b.first[s]; r < b.first[s+1]; r++ {
			rows = append(rows, r)
		}
		out.samples = append(out.samples, b.samples[s])
		out.first = append(out.first, len(rows))
	}
	var err error
	out.Rows, err = store.Take(b.Rows, rows)
	return out, err
}

// An answer is what a processor made of a batch: rows, or objects that get their column types when they are stored.
type answer struct {
	rows    arrow.RecordBatch // nil means none
	of      []int             // the sample that each row belongs to; nil tells them by the id columns
	objects map[int][]object  // by sample
	left    int               // samples at the end of the batch that were not begun
	back    []int             // samples that are to be tried once more, each by itself, before anything is said of them
}

// An answerer is a Processor that can say more than Process returns.
type answerer interface {
	answer(ctx context.Context, b *Batch) (answer, error)
}

// A guardedAnswerer needs no guard around each call against panics and overlong work.
type guardedAnswerer interface {
	answerer
	guarded()
}

// A pacedAnswerer gets many samples at a time while they are fast: as many as fill a call of some time, up to a number. 0
// samples mean one at a time.
type pacedAnswerer interface {
	answerer
	paced(timeout time.Duration) (call time.Duration, samples int)
}

// A preparer is a Processor that looks at the columns before the first sample is processed, and says which of them it
// needs. Nil means all.
type preparer interface {
	prepare(t task) ([]string, error)
}

// A task is what a processor may know beforehand.
type task struct {
	feature *feature.Feature
	rel     relation
	input   *arrow.Schema // of the samples
	rows    *rowMaker
	log     *slog.Logger
}

// one reports whether a processor works sample by sample, so that bigger batches would only make others wait.
func one(p Processor) bool {
	_, ok := p.(answerer)
	return ok
}
