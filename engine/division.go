package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Shards divide the samples of a feature among processes that work on it at the same time. Where the files of a parent lie
// in the order of the first id, as those do that this module writes, the values of that id are cut into intervals, and
// the shards take turns; then each reads little more than its part of every table. All shards come to the same intervals,
// although they begin at different moments, because only large files of a parent make them, which a commit in between
// seldom changes, and nothing of the feature's own table. Should it happen, a sample is in two shards or in none: the
// claims of a run see what others have committed, and the next run finds what is left.
//
// What lies in no interval, such as ids that were added since, and everything where there are no intervals, is divided
// by a hash of the ids. So many new samples in a row are not the work of one shard.

// divide looks for a parent that cuts the samples into intervals.
func (k *keyed) divide(ctx context.Context) error {
	if k.plan.options.Shard.Count <= 1 {
		return nil
	}
	column := k.rangeColumn()
	if !k.orderable(column) {
		return nil
	}
	for _, t := range k.tables {
		d, ok := t.scan.snap.(store.Divider)
		if !ok || t == k.target {
			continue
		}
		division, err := d.Divide(ctx, t.scan.keys[t.keys[column]], k.plan.options.Shard.Count)
		if err != nil {
			return fmt.Errorf("divide the samples by table %q: %w", t.scan.key, err)
		}
		if division != nil {
			division.Column = k.plan.join[column].name
			k.plan.division = division
			return nil
		}
	}
	return nil
}

// orderable reports whether every table has values of a key column that tell which interval they lie in.
func (k *keyed) orderable(column int) bool {
	return !slices.ContainsFunc(k.tables, func(t *keyedTable) bool {
		c, ok := store.Column(t.scan.snap.Schema(), t.scan.keys[t.keys[column]])
		return !ok || !store.Orderable(c.Type)
	})
}

// Division is how the samples were cut into intervals for Options.Shard, by a column of the samples; nil if they were not.
func (inc *Increment) Division() *store.Division { return inc.plan.division }
