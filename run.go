package metaxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Run is [Main] for programs that manage their own session and exit status. It runs the steps one after the other,
// parents first: resolve, process, commit, report. The results are valid beside an error, for the steps that were begun.
//
// When ctx is cancelled, Run takes no more samples, lets those in work finish within Options.Grace, commits them and
// returns the context's cause. Other errors are a *[SetupError], a *[SamplesError], or of the store.
func Run(ctx context.Context, s *pipes.Session, o Options, steps ...Step) (Results, error) {
	jobs, err := plan(s, o, steps)
	if err != nil {
		return nil, err
	}
	var results Results
	for _, j := range jobs {
		r, err := j.run(ctx)
		results = append(results, r)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

// run does one step and always tells Dagster what became of it.
func (j *job) run(ctx context.Context) (r Result, err error) {
	j.begin = time.Now()
	r.Feature = j.f.Key()
	j.store, err = j.step.Store(ctx)
	if err != nil {
		return r, fmt.Errorf("open the store of %s: %w", j.f.Key(), err)
	}
	defer func() { err = errors.Join(err, j.store.Close()) }()
	j.asked, _ = store.UsageOf(j.store)

	if j.o.ReportOnly {
		j.survey(ctx)
	} else {
		err = j.execute(ctx, &r)
	}
	r = j.result(r)
	r.Duration = time.Since(j.begin)
	telling := context.WithoutCancel(ctx) // what was done is reported also if the run was interrupted
	switch {
	case err != nil || j.o.DryRun:
	case j.reportedByAnother():
		err = j.reportShard(telling, &r)
	default:
		err = j.materialize(telling, &r)
	}
	if err = errors.Join(err, j.tell(telling, r, err)); err == nil {
		j.tidy(ctx)
	}
	return r, err
}

// execute resolves, processes, commits and cleans up.
func (j *job) execute(ctx context.Context, r *Result) error {
	snap, err := snapshot(ctx, j.store, j.f.Key())
	if err != nil {
		return err
	}
	if snap != nil {
		if err := j.hashing.Check(snap, j.f.Key()); err != nil {
			return &SetupError{err}
		}
	}
	// The claims begin before the increment is resolved, so that nothing falls between the two.
	j.claims = newClaims(j.f, j.rel, j.o.Shard, versionOf(snap))
	j.rows = &rowMaker{f: j.f, rel: j.rel}
	if snap != nil {
		j.rows.table.Store(snap.Schema())
	}
	inc, err := j.resolve(ctx, snap, r)
	if err != nil || j.o.DryRun {
		return err
	}
	j.stored = snap
	j.claims.replaced, j.claims.division = inc.Replaced(), inc.Division()
	j.children = children{inc: inc}
	columns, err := j.prepare(inc)
	if err != nil {
		return err
	}
	err = j.pump(ctx, inc, columns)
	j.markFailed(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if j.o.DeleteOrphaned {
		if err := j.deleteOrphaned(ctx, inc); err != nil {
			return err
		}
	}
	j.inc = inc
	return nil
}

// resolve finds out what there is to do, compared with what is stored, and says so.
func (j *job) resolve(ctx context.Context, stored store.Snapshot, r *Result) (*engine.Increment, error) {
	o := engine.Options{Hashing: j.hashing, MemoryLimit: j.o.MemoryLimit, Shard: engine.Shard(j.o.Shard), Stored: &stored}
	if j.step.Samples != nil {
		o.Samples = j.step.Samples(ctx)
	}
	inc, err := engine.Resolve(ctx, j.store, j.f, o)
	switch {
	case errors.Is(err, engine.ErrPlan), errors.Is(err, engine.ErrHashing):
		return nil, &SetupError{err}
	case err != nil:
		return nil, fmt.Errorf("resolve %s: %w", j.f.Key(), err)
	}
	for _, st := range []engine.Status{engine.New, engine.Stale} {
		if inc.Count(st) > 0 {
			if err := j.part.check(j.f, inc.Schema(st)); err != nil {
				return nil, err
			}
		}
	}
	if r.New, err = j.tally(ctx, inc, engine.New); err != nil {
		return nil, err
	}
	if r.Stale, err = j.tally(ctx, inc, engine.Stale); err != nil {
		return nil, err
	}
	if r.Orphaned, err = j.tallyOrphaned(ctx, inc); err != nil {
		return nil, err
	}
	j.total = r.New + r.Stale
	if j.o.Limit > 0 {
		j.total = min(j.total, j.o.Limit)
	}
	j.log.Info("resolved", "feature", j.f.Key(), "new", r.New, "stale", r.Stale, "orphaned", r.Orphaned)
	if n := inc.Unresolvable(); n > 0 {
		j.log.Warn("samples are left out, because a required parent has no version for them", "feature", j.f.Key(), "samples", n)
	}
	return inc, nil
}

// prepare lets the processor look at the columns before anything costs money, and returns those that it needs.
func (j *job) prepare(inc *engine.Increment) ([]string, error) {
	p, ok := j.step.Process.(preparer)
	if !ok || j.total == 0 {
		return nil, nil
	}
	st := engine.New
	if inc.Count(st) == 0 {
		st = engine.Stale
	}
	asked, err := p.prepare(task{feature: j.f, rel: j.rel, input: inc.Schema(st), rows: j.rows, log: j.log})
	if err != nil {
		return nil, &SetupError{fmt.Errorf("feature %s: %w", j.f.Key(), err)}
	}
	if asked != nil {
		asked = j.part.with(asked)
	}
	return j.columnsFor(asked, inc.Schema(st)), nil
}

// pump moves samples from the increment through the workers into the table.
func (j *job) pump(ctx context.Context, inc *engine.Increment, columns []string) (err error) {
	if j.total == 0 {
		return nil
	}
	stop, stopWith := context.WithCancelCause(ctx)
	work, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	j.stop, j.cutOff = stopWith, cutOff
	defer stopWith(nil)
	defer cutOff(nil)
	defer j.cutOffLater(ctx)()
	if c, ok := j.step.Process.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	defer j.showProgress()()

	j.queue = newQueue(j.o.Concurrency)
	outcomes := make(chan outcome, j.o.Concurrency)
	go func() {
		defer j.queue.end()
		if err := j.intake(stop, inc, columns); err != nil {
			j.end(err)
		}
	}()
	var workers errgroup.Group
	for range j.o.Concurrency {
		workers.Go(func() error { j.work(work, stop, outcomes); return nil })
	}
	go func() {
		workers.Wait()
		close(outcomes)
	}()
	c := committer{job: j, inc: inc, digest: j.digestBefore(inc)}
	c.collect(context.WithoutCancel(ctx), outcomes)
	return j.verdict(ctx, stop)
}

// cutOffLater cuts off what is in work a grace period after the end of ctx. The returned func calls that off, and returns
// when nothing is said about it any more.
func (j *job) cutOffLater(ctx context.Context) (callOff func()) {
	var grace *time.Timer
	begun := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(begun)
		j.log.Warn("stopping: samples in work may finish", "feature", j.f.Key(), "reason", context.Cause(ctx), "grace", j.o.Grace)
		grace = time.AfterFunc(j.o.Grace, func() { j.cutOff(context.Cause(ctx)) })
	})
	return func() {
		if !stop() {
			<-begun
			grace.Stop()
		}
	}
}

// verdict is the error of a job that has processed its samples.
func (j *job) verdict(ctx, stop context.Context) error {
	if n := j.count.duplicates.Load(); n > 0 {
		j.log.Warn("several rows of the increment have the same id; the first of each was taken", "feature", j.f.Key(), "left_out", n)
	}
	if err := j.problem(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return &stoppedError{fmt.Sprintf("%s: stopped when %d of %d samples were committed", j.f.Key(), j.count.processed.Load(),
			j.total), context.Cause(ctx)}
	}
	if r := j.result(Result{}); j.o.MaxFailed.exceeded(r.Failed, j.total) {
		return &SamplesError{Feature: j.f.Key(), Processed: r.Processed, Failed: r.Failed, Failures: r.Failures,
			Stopped: errors.Is(context.Cause(stop), errTooMany)}
	}
	return nil
}

// A stoppedError tells how far a run came that was interrupted. Package pipes puts the name of a signal before it.
type stoppedError struct {
	text  string
	cause error
}

func (e *stoppedError) Error() string {
	var signal *pipes.SignalError
	if errors.As(e.cause, &signal) {
		return e.text
	}
	return e.text + ": " + e.cause.Error()
}

func (e *stoppedError) Unwrap() error { return e.cause }
