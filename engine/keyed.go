package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// errNotKeyed reports rows that the keyed way is not made for: more times than it can number, versions of great length.
// They are resolved the plain way.
var errNotKeyed = errors.New("engine: rows need the plain way")

// maxWorkers bounds how many goroutines share the work of one resolve; each has buffers of its own.
const maxWorkers = 16

// A keyed resolves a feature whose samples, stored rows and parents' rows are all identified by the same columns, which
// is so for most. Everything that decides about a sample then has one key, and no row is needed longer than it takes to
// write down a few words about it:
//
//	read       tables are decoded side by side; of each row remains an entry: a hash of its key, where it is, when it was
//	           written, and a digest of the version that it has or makes (see entry)
//	partition  entries with equal keys come to the same partition, in memory up to the limit and beyond it in a file
//	decide     partition after partition: the newest row of each table, expected against stored (see keyedDecider)
//
// It decides as the plain way does (load, join and diff), which stays for what is keyed differently, and for comparison.
type keyed struct {
	plan       *plan
	tables     []*keyedTable // of the sources that have one, in the order in which they are joined; then the target
	target     *keyedTable   // nil for none
	partitions *partitions
	seed       uint64
	workers    int
	replaced   *futureRows
}

// newKeyed returns nil for a plan that has to be resolved the plain way.
func newKeyed(p *plan) *keyed {
	if p.given() || len(p.join) == 0 || len(p.order) == 0 || len(p.order) >= maxTables || !p.comparesByJoin() {
		return nil
	}
	k := &keyed{plan: p, seed: newSeed(), workers: min(maxWorkers, runtime.GOMAXPROCS(0)), replaced: newFutureRows(p)}
	for _, i := range p.order {
		s := &p.sources[i]
		keys := make([]int, len(p.join))
		for c, join := range p.join {
			keys[c] = join.keyIn(i)
		}
		if s.scan.aggregation != nil || !sameNumbers(keys, s.scan.ids) {
			return nil
		}
		k.tables = append(k.tables, &keyedTable{number: len(k.tables), scan: &s.scan, keys: keys, source: i})
	}
	if p.target != nil {
		keys := make([]int, len(p.join))
		for c, join := range p.join {
			at := slices.IndexFunc(p.compare, func(k frameKey) bool { return k.name == join.name })
			keys[c] = p.targetCompare[at]
		}
		if !sameNumbers(keys, p.target.ids) {
			return nil
		}
		k.target = &keyedTable{number: len(k.tables), scan: p.target, keys: keys, source: -1}
		k.tables = append(k.tables, k.target)
	}
	return k
}

// comparesByJoin reports whether expected samples are compared by the columns that join them.
func (p *plan) comparesByJoin() bool {
	return len(p.join) == len(p.compare) && !slices.ContainsFunc(p.join, func(join frameKey) bool {
		return !slices.ContainsFunc(p.compare, func(k frameKey) bool { return k.name == join.name })
	})
}

func sameNumbers(a, b []int) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// single reports whether one table alone makes the expected samples, so that the version of each is known as soon as
// its row is read.
func (k *keyed) single() bool { return len(k.plan.order) == 1 }

// partitioning is how the entries are divided if nothing else is asked for.
func (k *keyed) partitioning() partitioning {
	bytes := int64(0)
	for _, t := range k.tables {
		entry := int64(entryBytes)
		if t.source >= 0 && !k.single() {
			entry += int64(16 * len(t.scan.members))
		}
		bytes += entry * t.scan.snap.RowsHint()
	}
	if bytes == 0 {
		bytes = 1 << 20 // the log does not say
	}
	return newPartitioning(k.plan.options.MemoryLimit, bytes, k.workers)
}

// resolve returns the increment, or errNotKeyed.
func (k *keyed) resolve(ctx context.Context, how partitioning) (*Increment, error) {
	k.partitions = newPartitions(how)
	defer k.partitions.close()
	if err := k.read(ctx); err != nil {
		return nil, fmt.Errorf("resolve %q: %w", k.plan.feature.Key(), err)
	}
	found, err := k.decide(ctx)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", k.plan.feature.Key(), err)
	}
	return k.increment(found), nil
}

// read fills the partitions. One goroutine for each table takes what is decoded, in order; the workers make entries of
// the batches of all tables.
func (k *keyed) read(ctx context.Context) error {
	read, ctx := errgroup.WithContext(ctx)
	batches := make(chan keyedBatch, 2)
	var feeders errgroup.Group
	for _, t := range k.tables {
		feeders.Go(func() error { return t.feed(ctx, batches) })
	}
	read.Go(func() error {
		defer close(batches)
		return feeders.Wait()
	})
	for range k.workers {
		read.Go(func() error {
			w := newKeyedWorker(k)
			for b := range batches {
				if err := w.take(b); err != nil {
					return err
				}
			}
			return w.out.finish()
		})
	}
	return read.Wait()
}

// decide goes through the partitions.
func (k *keyed) decide(ctx context.Context) (*keyedDecision, error) {
	found := newKeyedDecision(k)
	next := k.partitions.each()
	decide, ctx := errgroup.WithContext(ctx)
	for range k.workers {
		decide.Go(func() error {
			d := newKeyedDecider(k, found)
			for number, ok := next(); ok; number, ok = next() {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := d.partition(number); err != nil {
					return err
				}
			}
			found.add(d)
			return nil
		})
	}
	return found, decide.Wait()
}

// increment keeps of a decision what says where the rows are.
func (k *keyed) increment(found *keyedDecision) *Increment {
	inc := &Increment{plan: k.plan, unresolvable: found.unresolvable, replaced: k.replaced.rows()}
	inc.parts[New] = part{k.plan.expectedReader(), found.fresh.rows(k)}
	inc.parts[Stale] = part{k.plan.expectedReader(), found.stale.rows(k)}
	inc.parts[Orphaned] = part{k.plan.storedReader(), noRows}
	if k.target != nil {
		inc.parts[Orphaned].rows = found.orphaned.rows(k.target)
	}
	return inc
}
