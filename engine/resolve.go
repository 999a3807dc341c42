package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Options says how to resolve. The zero value is good for any feature that has parents.
type Options struct {
	// Hashing is how versions are made; the zero value is the whole output of xxh3_64.
	Hashing Hashing
	// Samples are the expected samples, with the feature's id columns and metaxy_provenance_by_field. A root feature
	// needs them; with them the parents of another feature are not read. Nil takes the samples from the parents.
	Samples iter.Seq2[arrow.RecordBatch, error]
	// SkipComparison makes every expected sample new. False compares with the stored samples.
	SkipComparison bool
	// Stored points to the feature's own table to compare with, or to nil where there is none yet. Nil opens the table beside
	// the parents' ones, so that either may be the older. Who commits gives the one from which on it looks for what others
	// commit: if the parents are the older ones, what another run has made of newer ones seems stale, and is taken back.
	Stored *store.Snapshot
	// Filters keep those samples of a feature, parent or resolved, for which all conditions hold (see package filter),
	// by the columns of its table. Features that are neither are not looked at. Nil keeps all. As in Metaxy, a filter on
	// the resolved feature leaves out stored and given samples, but not what the parents make: a sample that is stored
	// and left out is new.
	Filters map[feature.Key][]string
	// GlobalFilters apply like Filters to every feature whose table is read. Nil keeps all samples.
	GlobalFilters []string
	// TargetFilters apply like Filters to the resolved feature. Nil keeps all samples.
	TargetFilters []string
	// StaleIf are conditions on stored samples, any of which makes a sample stale that is expected too. With any,
	// orphaned samples have the column __stale_by_predicate, as in Metaxy. Nil leaves it to the versions.
	StaleIf []string
	// MemoryLimit is about how many bytes of memory the resolve may take for what it knows of rows while it decides; what
	// does not fit goes to a private temporary file. Features whose samples are told apart by other columns than
	// their parents' rows are resolved in memory alone. 0 means 1 GiB.
	MemoryLimit int64
	// Shard is the part of the samples that is wanted. The increment has all of them and may have others, which are those
	// that were cheaper to leave in; Increment.Division tells them apart. Zero wants all.
	Shard Shard
}

// A Shard is one of Count parts of the samples, counted from 0. A Count of 0 or 1 is the whole.
type Shard struct{ Index, Count int }

// Resolve compares the samples that f should have with those it has. It writes nothing, and the same rows give the
// same increment whatever their order. Of a store with fallbacks (see store.WithFallback) only parents are read from
// these, never what is stored of f itself. A parent without a table gives an error wrapping store.ErrNoTable; a feature
// or options that cannot work give one wrapping ErrPlan.
func Resolve(ctx context.Context, r store.Reader, f *feature.Feature, o Options) (*Increment, error) {
	p, err := prepare(ctx, r, f, o)
	if err != nil {
		return nil, err
	}
	return p.increment(ctx)
}

// ResolveToRecord is Resolve for somebody who only wants to record that nothing is left to do (see
// [Increment.SettledMarks]), where others have done the work. Nil says that this cannot be recorded of the feature, or would
// not pay; no row was looked at then.
func ResolveToRecord(ctx context.Context, r store.Reader, f *feature.Feature, o Options) (*Increment, error) {
	p, err := prepare(ctx, r, f, o)
	if err != nil || !p.recordable() || p.examinedRows() < settleRows {
		return nil, err
	}
	return p.increment(ctx)
}

// increment decides by the shortest way that there is.
func (p *plan) increment(ctx context.Context) (*Increment, error) {
	how, files := p.settling(ctx)
	if how == settled {
		return p.emptyIncrement(), nil
	}
	if k := newKeyed(p); k != nil {
		if err := k.divide(ctx); err != nil {
			return nil, fmt.Errorf("resolve %q: %w", p.feature.Key(), err)
		}
		if how == grown {
			var err error
			if k.only, err = k.restrict(ctx, files, p.restrictable()); err != nil {
				return nil, fmt.Errorf("resolve %q: %w", p.feature.Key(), err)
			}
		}
		inc, err := k.increment(ctx)
		if !errors.Is(err, errNotKeyed) {
			return inc, err
		}
	}
	return p.resolve(ctx)
}

// resolve holds all rows that decide in memory and can join and compare them by any columns.
func (p *plan) resolve(ctx context.Context) (*Increment, error) {
	tables, target, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	expected, err := p.joinSources(ctx, tables)
	if err != nil {
		return nil, err
	}
	decision, err := p.decide(ctx, expected, tables, target)
	if err != nil {
		return nil, err
	}
	return newIncrement(p, expected, tables, target, decision), nil
}

// prepare checks the feature and the options, opens the tables and plans the resolve.
func prepare(ctx context.Context, r store.Reader, f *feature.Feature, o Options) (*plan, error) {
	if err := checkFeature(f, o); err != nil {
		return nil, err
	}
	var given *samples
	var parents []store.Snapshot
	var target store.Snapshot
	var err error
	var look errgroup.Group
	switch {
	case o.SkipComparison:
	case o.Stored != nil:
		if target = *o.Stored; target != nil {
			if err := o.Hashing.Check(target, f.Key()); err != nil {
				return nil, fmt.Errorf("resolve %q: %w", f.Key(), err)
			}
		}
	default:
		look.Go(func() (err error) {
			target, err = open(ctx, store.Local(r), f.Key(), o.Hashing)
			if err != nil && !errors.Is(err, store.ErrNoTable) {
				return fmt.Errorf("resolve %q: %w", f.Key(), err)
			}
			return nil
		})
	}
	if o.Samples != nil {
		given, err = readSamples(o.Samples, f) // not in a goroutine: they are the caller's, who may recover from their panic
	} else {
		parents, err = openParents(ctx, r, f, o.Hashing)
	}
	if err := cmp.Or(err, look.Wait()); err != nil {
		return nil, err
	}
	return newPlan(f, o, given, parents, target)
}

// openParents opens the tables of f's parents, in the order of the spec and at the same time. An optional parent's may be
// missing, and is nil then.
func openParents(ctx context.Context, r store.Reader, f *feature.Feature, h Hashing) ([]store.Snapshot, error) {
	parents := f.Parents()
	out, errs := make([]store.Snapshot, len(parents)), make([]error, len(parents))
	var look sync.WaitGroup
	for i, p := range parents {
		look.Go(func() {
			var err error
			out[i], err = open(ctx, r, p.Feature.Key(), h)
			if err != nil && !(p.Dep.Optional && errors.Is(err, store.ErrNoTable)) {
				errs[i] = fmt.Errorf("resolve %q: %w", f.Key(), err)
			}
		})
	}
	look.Wait()
	return out, cmp.Or(errs...) // of several, always the first parent's
}

// open opens a table whose versions are made as h says.
func open(ctx context.Context, r store.Reader, key feature.Key, h Hashing) (store.Snapshot, error) {
	snap, err := r.Snapshot(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("open table %q: %w", key, err)
	}
	return snap, h.Check(snap, key)
}

// load reads what decides: the newest rows of all sources, and those of the target, at the same time.
func (p *plan) load(ctx context.Context) (sources []*table, target *table, err error) {
	sources = make([]*table, len(p.sources))
	group, ctx := errgroup.WithContext(ctx)
	if p.target != nil {
		group.Go(func() (err error) {
			target, err = p.target.load(ctx)
			return err
		})
	}
	for i := range p.sources {
		group.Go(func() (err error) {
			switch s := &p.sources[i]; {
			case s.samples != nil:
				sources[i], err = s.samples.table(&s.scan)
			case s.scan.snap != nil:
				sources[i], err = s.scan.load(ctx)
			default:
				sources[i] = newTable(nil)
			}
			if a := p.sources[i].scan.aggregation; a != nil && err == nil {
				a.aggregate(sources[i], len(p.sources[i].scan.members), p.hashing)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, fmt.Errorf("resolve %q: %w", p.feature.Key(), err)
	}
	return sources, target, nil
}
