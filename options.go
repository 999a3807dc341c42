package metaxy

import (
	"fmt"
	"io"
	"runtime"
	"time"
)

// Options says how to run steps. The zero value is good.
type Options struct {
	// Concurrency is how many calls of a processor run at once; 0 means GOMAXPROCS.
	Concurrency int
	// BatchSize is how many samples one call of a processor gets; 0 means what the step says.
	BatchSize int
	// FlushRows commits the computed rows as soon as there are so many; 0 means 10,000, or what is computed in a second
	// if that is more.
	FlushRows int64
	// FlushInterval commits the computed rows at least this often while there are any; 0 means 10 s.
	FlushInterval time.Duration
	// Retries is how often a failed sample is tried again in the same run; 0 means never. The next run tries it anyway.
	Retries int
	// RetryDelay is the pause before the first retry, which grows from one to the next; 0 means 500 ms.
	RetryDelay time.Duration
	// SampleTimeout is how long one attempt at one sample may take; 0 means as long as it wants.
	SampleTimeout time.Duration
	// Grace is how long samples in work may go on after the context is cancelled; 0 means 10 s.
	Grace time.Duration
	// MaxFailed is how many failed samples are accepted; zero accepts none.
	MaxFailed Tolerance
	// DeleteOrphaned soft-deletes the rows of samples that are no longer expected; false keeps them.
	DeleteOrphaned bool
	// Limit is how many samples to process at most, new ones first; 0 means all.
	Limit int64
	// Partition keeps only the samples of one partition: a value of the feature's partition column, or COLUMN=VALUE. ""
	// means the session's partition, if it has one.
	Partition string
	// Shard keeps only one of several equal parts of the samples; zero means all of them.
	Shard Shard
	// NoOptimize leaves the table's small files alone; false merges them after the run when there are many.
	NoOptimize bool
	// DryRun resolves and counts, and neither processes nor writes.
	DryRun bool
	// ReportOnly neither resolves nor processes: it reports the table as it is. It is the last word on a run of several
	// shards, none of which knows whether it has seen what the others commit.
	ReportOnly bool
	// MemoryLimit is about how many bytes of memory finding out what there is to do may take (see engine.Options); what the
	// processors hold is beside it. 0 means 1 GiB.
	MemoryLimit int64
	// Terminal is where a progress bar is drawn; nil means that progress is logged every 10 s.
	Terminal io.Writer
}

// A Tolerance is how many samples may fail before the run counts as failed. Zero accepts none: every sample is tried,
// and then the run fails. With a tolerance the run stops as soon as it is exceeded.
type Tolerance struct {
	// Count is the number of failures that is still accepted; it counts when Percent is 0.
	Count int64
	// Percent is the share of the run's samples, from 0 to 100, that may fail; 0 leaves it to Count.
	Percent float64
}

// exceeded reports whether so many failures of so many samples are too many.
func (t Tolerance) exceeded(failed, samples int64) bool {
	if t.Percent > 0 {
		return float64(failed)*100 > t.Percent*float64(samples)
	}
	return failed > t.Count
}

// A Shard is one of several parts of the samples, of about equal size: intervals of the first id where the parents' files
// lie in its order, so that a shard reads its part of them only, and by a hash of the ids elsewhere. Zero is the whole.
type Shard struct {
	// Index is the part's number, from 0.
	Index int
	// Count is the number of parts; 0 means one.
	Count int
}

// String is the shard as the command line takes it, such as 0/8.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// withDefaults fills in what zero values mean.
func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = runtime.GOMAXPROCS(0)
	}
	if o.FlushInterval <= 0 {
		o.FlushInterval = 10 * time.Second
	}
	if o.RetryDelay <= 0 {
		o.RetryDelay = 500 * time.Millisecond
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	return o
}

// check reports options that make no sense.
func (o Options) check() error {
	if s := o.Shard; s.Count < 0 || s.Index < 0 || s.Index >= max(s.Count, 1) {
		return setupf("shard %d/%d: expected i/n with 0 <= i < n", s.Index, s.Count)
	}
	if t := o.MaxFailed; t.Count < 0 || !(t.Percent >= 0 && t.Percent <= 100) {
		return setupf("tolerance %+v: expected a count from 0 or a share from 0 to 100", t)
	}
	if o.ReportOnly && (o.DryRun || o.Shard.Count > 1 || o.Limit > 0) {
		return setupf("a run that only reports takes no samples, so neither a dry run, nor a shard, nor a limit goes with it")
	}
	if o.Limit < 0 || o.Retries < 0 {
		return setupf("limit %d, retries %d: expected 0 or more", o.Limit, o.Retries)
	}
	return nil
}

// A SetupError reports a step, options or columns with which no sample can be processed. Nothing was written.
type SetupError struct {
	// Err says what is wrong and what to do.
	Err error
}

// Error is the message of the wrapped error.
func (e *SetupError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *SetupError) Unwrap() error { return e.Err }

func setupf(format string, args ...any) error { return &SetupError{fmt.Errorf(format, args...)} }
