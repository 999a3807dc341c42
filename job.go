package metaxy

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A job is the run of one step.
type job struct {
	f       *feature.Feature
	step    Step
	o       Options
	hashing engine.Hashing
	store   store.Store // nil until the job starts
	asked   store.Usage // of the storage before the job
	rel     relation
	part    *partition

	session         *pipes.Session
	log             *slog.Logger
	queue           *queue // nil until there is work
	pace            pace
	fullBatch       int64       // bytes of rows that make a batch full, however few samples it has; 0 means that none do
	line            *statusLine // below the log; nil where there is no terminal
	asset           string      // the escaped asset key; "" means that Dagster does not ask for this feature
	check           string      // the name of the asset check; "" means that the asset declares none
	reportFollows   bool        // another run tells what the table holds
	materialization string
	projectVersion  string

	begin    time.Time      // of the job
	stored   store.Snapshot // of the feature's table when the increment was resolved; nil without one
	claims   *claims
	rows     *rowMaker
	count    counters
	children children          // of expanded samples; owned by the committer
	total    int64             // samples to process
	inc      *engine.Increment // that was done without an error; else nil
	// recorded is the version of the table with which it was recorded that nothing is left to do; -1 for none. It is owned
	// by the committer.
	recorded int64
	// unstorable says that a commit has failed, so that none is tried any more; owned by the committer.
	unstorable bool
	// scattered says of which statuses the rows of a sample do not follow each other in the increment.
	scattered map[engine.Status]bool
	stop      context.CancelCauseFunc
	cutOff    context.CancelCauseFunc

	mu       sync.Mutex
	err      error     // what broke the job
	failures []Failure // the first ones
	inARow   int64     // failed samples since the last one that did not
}

// counters are what the job's goroutines count.
type counters struct {
	computed, processed, failed, elsewhere, deleted, interrupted, duplicates atomic.Int64
}

// errTooMany is the reason to stop after too many failures.
var errTooMany = errors.New("too many samples failed")

// hopeless is how many samples have to fail one after the other until a run that tolerates no failure stops trying.
const hopeless = 100

// fail takes note of a sample that could not be computed, and stops the intake when there is no point in going on.
func (j *job) fail(f failedSample) {
	n := j.count.failed.Add(1)
	failure := Failure{ID: f.id(j.rel.keys), Err: f.err}
	j.mu.Lock()
	j.inARow++
	inARow := j.inARow
	if len(j.failures) < keptFailures {
		j.failures = append(j.failures, failure)
	}
	j.mu.Unlock()
	switch {
	case n <= keptFailures:
		j.log.Warn("sample failed", "feature", j.f.Key(), "sample", idString(failure.ID), "error", shorten(f.err.Error(), 2000))
	case n == keptFailures+1:
		j.log.Warn("more samples failed, which are only counted from here on", "feature", j.f.Key())
	}
	t := j.o.MaxFailed
	if t != (Tolerance{}) && t.exceeded(n, j.total) || t == (Tolerance{}) && inARow >= hopeless {
		j.stop(errTooMany)
	}
}

// storage is what the job has asked of the storage so far.
func (j *job) storage() store.Usage {
	if j.store == nil {
		return store.Usage{}
	}
	now, _ := store.UsageOf(j.store)
	return now.Since(j.asked)
}

// succeed takes note of computed samples.
func (j *job) succeed(n int) {
	j.count.computed.Add(int64(n))
	j.mu.Lock()
	j.inARow = 0
	j.mu.Unlock()
}

// end lets no more samples begin because of an error that is not a sample's. Those in work finish, and what is done is
// committed. The first error counts.
func (j *job) end(err error) {
	j.mu.Lock()
	if j.err == nil {
		j.err = err
	}
	j.mu.Unlock()
	j.stop(err)
}

// abort is end when there is no use in finishing either.
func (j *job) abort(err error) {
	j.end(err)
	j.cutOff(err)
}

func (j *job) problem() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// result is what has become of the job so far.
func (j *job) result(r Result) Result {
	r.Processed, r.Failed = j.count.processed.Load(), j.count.failed.Load()
	r.Elsewhere, r.Deleted = j.count.elsewhere.Load(), j.count.deleted.Load()
	r.Storage = j.storage()
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Failures = append([]Failure(nil), j.failures...)
	return r
}
