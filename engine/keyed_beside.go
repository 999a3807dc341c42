package engine

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// mergesBeside reports whether merging the parents pays although what they make has to be compared with a table in no order:
// where several of them meet in a sample. The first one's rows have to tell the samples apart.
func (k *keyed) mergesBeside() bool {
	return !k.single() && !k.plan.sources[k.plan.order[0]].optional
}

// decideBeside merges the parents, and compares the samples that they make with stored rows in no order. For that, the samples
// go into partitions as if they were the rows of a table that makes them alone: an entry has a digest in place of all the
// versions that it is made of. A key comes from one window only, so that no two of these entries have to be told apart by time.
func (m *merge) decideBeside(ctx context.Context) (*keyedDecision, error) {
	parents := *m.keyed
	parents.tables, parents.target = m.tables[:len(m.plan.order)], nil
	first := parents.tables[0]
	made, stored := &keyedTable{scan: first.scan, source: first.source, spans: first.spans, count: first.count}, m.target
	stored.number = 1
	plan := *m.plan
	plan.order = plan.order[:1]
	compared := *m.keyed
	compared.plan, compared.tables = &plan, []*keyedTable{made, stored}
	compared.partitions = newPartitions(compared.partitioning(2 * m.workers))
	defer compared.partitions.close()

	var found *keyedDecision
	read, both := errgroup.WithContext(ctx)
	read.Go(func() (err error) {
		found, err = m.merge(both, &parents, compared.partitions)
		return err
	})
	read.Go(func() error { return compared.read(both, stored) })
	if err := read.Wait(); err != nil {
		return nil, err
	}
	rest, err := compared.decide(ctx)
	if err != nil {
		return nil, err
	}
	found.take(rest)
	return found, nil
}

// take adds what was found about the samples whose rows of the first table, and of the target, are those of other too.
func (f *keyedDecision) take(other *keyedDecision) {
	for i, bits := range other.fresh.marks.bits {
		f.fresh.marks.bits[i] |= bits
	}
	f.stale.marks, f.orphaned = other.stale.marks, other.orphaned
	f.unresolvable += other.unresolvable
}
