package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store"
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
// Tables whose files are sorted need no partitions; see merge.
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
	only       *restriction // nil looks at all samples
	summing    bool         // of the samples themselves; see DataVersion

	// nullsDecide says that it is enough to know which versions a row has. Where nothing is stored every sample is new,
	// whatever its version.
	nullsDecide bool
}

// newKeyed returns nil for a plan that has to be resolved the plain way.
func newKeyed(p *plan) *keyed {
	aggregates := func(i int) bool { return p.sources[i].scan.aggregation != nil }
	if len(p.order) == 0 || len(p.order) >= maxTables || !p.uniform() || slices.ContainsFunc(p.order, aggregates) {
		return nil
	}
	k := &keyed{plan: p, seed: newSeed(), workers: min(maxWorkers, runtime.GOMAXPROCS(0)), replaced: newFutureRows(p)}
	for _, i := range p.order {
		k.tables = append(k.tables, &keyedTable{number: len(k.tables), scan: &p.sources[i].scan, keys: p.joinKeys(i), source: i})
	}
	if p.target != nil {
		k.target = &keyedTable{number: len(k.tables), scan: p.target, keys: p.targetKeys(), source: -1}
		k.tables = append(k.tables, k.target)
	}
	k.nullsDecide = k.target == nil && !slices.ContainsFunc(k.tables, func(t *keyedTable) bool { return len(t.scan.members) > 64 })
	if k.nullsDecide {
		for _, t := range k.tables {
			t.scan = t.scan.withoutFullTexts()
		}
	}
	return k
}

// withoutFullTexts leaves out the versions if it is known that none of them is null.
func (s *tableScan) withoutFullTexts() *tableScan {
	counter, ok := s.snap.(store.NullCounter)
	if !ok || len(s.texts) > 0 || !counter.NoNulls(s.byField, s.members) {
		return s
	}
	out := *s
	out.members = nil
	return &out
}

// uniform reports whether the feature's samples and its parents' rows, or the groups of these, are identified by the same
// columns. Then a sample is expected with one version only, and is stored in one row.
func (p *plan) uniform() bool {
	if p.given() || len(p.join) == 0 || !sameSet(frameNames(p.join), frameNames(p.compare)) ||
		!sameSet(frameNames(p.join), idColumns(p.feature)) {
		return false
	}
	for _, i := range p.order {
		by := p.sources[i].scan.ids
		if a := p.sources[i].scan.aggregation; a != nil {
			by = a.by
		}
		if !sameSet(p.joinKeys(i), by) {
			return false
		}
	}
	return p.target == nil || sameSet(p.targetKeys(), p.target.ids)
}

// joinKeys are the keys of a source that it is joined by, in the order of the join.
func (p *plan) joinKeys(source int) []int {
	keys := make([]int, len(p.join))
	for c, join := range p.join {
		keys[c] = join.keyIn(source)
	}
	return keys
}

// targetKeys are the keys of the target that correspond to the join.
func (p *plan) targetKeys() []int {
	keys := make([]int, len(p.join))
	for c, join := range p.join {
		keys[c] = p.targetCompare[slices.Index(frameNames(p.compare), join.name)]
	}
	return keys
}

func frameNames(keys []frameKey) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return names
}

func sameSet[T cmp.Ordered](a, b []T) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// single reports whether one table alone makes the expected samples, so that the version of each is known as soon as
// its row is read.
func (k *keyed) single() bool { return len(k.plan.order) == 1 }

// carries reports whether entries carry the versions that rows give, for those of the samples to be made of them.
func (k *keyed) carries() bool { return !k.single() && !k.nullsDecide }

// partitioning is how the entries are divided if nothing else is asked for, by so many writers.
func (k *keyed) partitioning(writers int) partitioning {
	bytes := int64(0)
	for _, t := range k.tables {
		entry := int64(entryBytes)
		if k.summing {
			entry += 16
		}
		if t.source >= 0 && k.carries() {
			entry += int64(16 * len(t.scan.members))
		}
		bytes += entry * k.entriesOf(t)
	}
	if bytes == 0 {
		bytes = 1 << 20 // the log does not say
	}
	return newPartitioning(k.plan.options.MemoryLimit, bytes, writers)
}

// entriesOf is about how many entries a table makes: few of a table of which few samples, or those of a shard, are looked
// at. Where it is too few, the rest goes to the temporary file.
func (k *keyed) entriesOf(t *keyedTable) int64 {
	rows := t.scan.snap.RowsHint()
	switch {
	case k.only != nil:
		return min(rows, 2*k.only.rows) // a sample may have several rows
	case k.plan.division != nil:
		return min(rows, 2*rows/int64(k.plan.options.Shard.Count))
	}
	return rows
}

// increment decides by a merge where the tables are sorted, and else through partitions. It returns errNotKeyed if neither can.
func (k *keyed) increment(ctx context.Context) (*Increment, error) {
	if k.only == nil {
		m, err := newMerge(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("resolve %q: %w", k.plan.feature.Key(), err)
		}
		if m != nil {
			inc, err := m.resolve(ctx)
			if !errors.Is(err, errUnordered) {
				return inc, err
			}
			k = newKeyed(k.plan) // without what the merge has noted
		}
	}
	return k.resolve(ctx, k.partitioning(k.workers))
}

// resolve decides through partitions. It returns the increment, or errNotKeyed.
func (k *keyed) resolve(ctx context.Context, how partitioning) (*Increment, error) {
	k.partitions = newPartitions(how)
	defer k.partitions.close()
	if err := k.read(ctx, k.tables...); err != nil {
		return nil, fmt.Errorf("resolve %q: %w", k.plan.feature.Key(), err)
	}
	found, err := k.decide(ctx)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", k.plan.feature.Key(), err)
	}
	return k.incrementOf(found), nil
}

// read fills the partitions with the rows of tables. One goroutine for each table takes what is decoded, in order; the workers make entries of
// the batches of all tables.
func (k *keyed) read(ctx context.Context, tables ...*keyedTable) error {
	read, ctx := errgroup.WithContext(ctx)
	batches := make(chan keyedBatch, 2)
	feeders, feeding := errgroup.WithContext(ctx) // a table that cannot be read ends the reading of all
	for _, t := range tables {
		feeders.Go(func() error { return k.feed(feeding, t, batches) })
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

// incrementOf keeps of a decision what says where the rows are.
func (k *keyed) incrementOf(found *keyedDecision) *Increment {
	inc := &Increment{plan: k.plan, unresolvable: found.unresolvable, replaced: k.replaced.rows(),
		examined: k.plan.examinedRows()}
	if k.only != nil {
		inc.examined = k.only.rows
	}
	inc.parts[New] = part{k.plan.expectedReader(), found.fresh.rows(k)}
	inc.parts[Stale] = part{k.plan.expectedReader(), found.stale.rows(k)}
	inc.parts[Orphaned] = part{k.plan.storedReader(), noRows}
	if k.target != nil {
		inc.parts[Orphaned].rows = found.orphaned.rows(k.target)
	}
	return inc
}
