package metaxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A shardedKind is a feature whose samples are told apart in some way.
type shardedKind struct {
	name     string
	leaf     feature.Spec
	parents  []feature.Spec
	unsorted []feature.Key      // parents whose files lie in no order
	ids      func(n int) string // the members of a row's JSON that are its ids
	keys     func(n int) string // the same as a key
	rows     int
	divided  bool // by intervals
	missing  bool // some ids, which no run accepts
}

// longID is so long that a page has few of them.
func longID(n int) string { return fmt.Sprintf("%06d", n) + strings.Repeat("-", 2500) }

func textIDs(n int) string  { return fmt.Sprintf(`"id":%q`, longID(n)) }
func textKeys(n int) string { return fmt.Sprintf("%q", longID(n)) }

// someMissing gives one of ten no id.
func someMissing(n int) string {
	if n%10 == 5 {
		return `"id":null`
	}
	return textIDs(n)
}

func secondMissing(n int) string {
	if n%10 == 5 {
		return textIDs(n) + `,"n":null`
	}
	return textIDs(n) + `,"n":1`
}

var shardedKinds = []shardedKind{
	{
		name: "text", leaf: feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a"}}},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}}, ids: textIDs, keys: textKeys, rows: 2600, divided: true,
	},
	{
		name: "integers, from below zero", leaf: feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a"}}},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}}, rows: 70_000, divided: true,
		ids:  func(n int) string { return fmt.Sprintf(`"id":%d`, n-30_000) },
		keys: func(n int) string { return fmt.Sprint(n - 30_000) },
	},
	{
		name: "two ids", rows: 1200, divided: true,
		leaf:    feature.Spec{Key: "leaf", IDColumns: []string{"id", "n"}, Deps: []feature.Dep{{Feature: "a"}}},
		parents: []feature.Spec{{Key: "a", IDColumns: []string{"id", "n"}}},
		ids:     func(n int) string { return fmt.Sprintf(`"id":%q,"n":%d`, longID(n), n%7) },
		keys:    func(n int) string { return fmt.Sprintf("%q,%d", longID(n), n%7) },
	},
	{
		name: "two ids, many of one first", rows: 350, // a page has all of them, as numbers into a dictionary
		leaf:    feature.Spec{Key: "leaf", IDColumns: []string{"id", "n"}, Deps: []feature.Dep{{Feature: "a"}}},
		parents: []feature.Spec{{Key: "a", IDColumns: []string{"id", "n"}}},
		ids:     func(n int) string { return fmt.Sprintf(`"id":%q,"n":%d`, longID(n/7), n%7) },
		keys:    func(n int) string { return fmt.Sprintf("%q,%d", longID(n/7), n%7) },
	},
	{
		name: "two parents, the first in no order", rows: 1200, divided: true, unsorted: []feature.Key{"a"},
		leaf:    feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a", Select: []string{}}, {Feature: "b", Select: []string{}}}},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}, {Key: "b", IDColumns: ids}}, ids: textIDs, keys: textKeys,
	},
	{
		name: "an optional parent", rows: 1200, divided: true, unsorted: []feature.Key{"b"},
		leaf:    feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a", Select: []string{}}, {Feature: "b", Select: []string{}, Optional: true}}},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}, {Key: "b", IDColumns: ids}}, ids: textIDs, keys: textKeys,
	},
	{
		name: "some without a second id", rows: 1200, divided: true, missing: true,
		leaf:    feature.Spec{Key: "leaf", IDColumns: []string{"id", "n"}, Deps: []feature.Dep{{Feature: "a"}}},
		parents: []feature.Spec{{Key: "a", IDColumns: []string{"id", "n"}}}, ids: secondMissing, keys: textKeys,
	},
	{
		name: "some without an id", rows: 1200, divided: true, missing: true,
		leaf:    feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a"}}},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}}, ids: someMissing, keys: textKeys,
	},
	{
		name: "in no order", leaf: feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a"}}}, unsorted: []feature.Key{"a"},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}}, ids: textIDs, keys: textKeys, rows: 350,
	},
	{
		name: "aggregated", rows: 350,
		leaf:    feature.Spec{Key: "leaf", IDColumns: ids, Deps: []feature.Dep{{Feature: "a", Lineage: feature.Lineage{Kind: feature.ManyToOne, On: ids}}}},
		parents: []feature.Spec{{Key: "a", IDColumns: []string{"id", "n"}}},
		ids:     func(n int) string { return fmt.Sprintf(`"id":"%03d","n":%d`, n/7, n%7) },
		keys:    func(n int) string { return fmt.Sprintf(`"%03d",%d`, n/7, n%7) },
	},
	{
		name: "expanded", rows: 350,
		leaf:    feature.Spec{Key: "leaf", IDColumns: []string{"id", "part"}, Deps: []feature.Dep{{Feature: "a", Lineage: feature.Lineage{Kind: feature.OneToMany, On: ids}}}},
		parents: []feature.Spec{{Key: "a", IDColumns: ids}}, ids: textIDs, keys: textKeys,
	},
}

// TestShardsOfAnyIDs finds each sample of a random history in exactly one shard, whatever the ids are and however the files lie.
func TestShardsOfAnyIDs(t *testing.T) {
	t.Parallel()
	for _, kind := range shardedKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := &shardedStore{tables: newTables(t, feature.MustGraph(append(kind.parents, kind.leaf)...)), leaf: "leaf", folder: t.TempDir()}
			random := rand.New(rand.NewPCG(5, uint64(kind.rows)))
			whole := slices.Collect(every(kind.rows/10, kind.rows, 1))
			kind.grow(s, "1", true, whole)
			if kind.leaf.Deps[0].Lineage.Kind == feature.OneToOne && !kind.missing {
				for _, shard := range []int{1, 4, 6} { // of the others, all samples are new
					s.step(shard)
				}
			}
			kind.grow(s, "2", true, chosen(random, whole, 9))
			kind.grow(s, "3", false, chosen(random, whole, 50))
			kind.grow(s, "1", false, slices.Collect(every(0, kind.rows/10, 3)))
			kind.grow(s, "1", true, slices.Collect(every(kind.rows, kind.rows+kind.rows/10, 2)))
			kind.shrink(s, chosen(random, whole, 40))
			counts := []int{2, 8}
			if kind.name == "text" || !kind.divided { // it takes long enough once
				counts = append(counts, 1, 64)
			}
			for _, count := range counts {
				if s.check(count); s.divided != (kind.divided && count > 1) {
					t.Errorf("intervals for %d shards: %t", count, s.divided)
				}
			}
		})
	}
}

// chosen is about one of so many numbers, in a random order.
func chosen(random *rand.Rand, numbers []int, of int) []int {
	var out []int
	for _, i := range random.Perm(len(numbers)) {
		if random.IntN(of) == 0 {
			out = append(out, numbers[i])
		}
	}
	return out
}

// grow puts rows into every parent, those that are not in order in a file as they come.
func (k *shardedKind) grow(s *shardedStore, version string, inOrder bool, numbers []int) {
	s.t.Helper()
	for _, parent := range k.parents {
		var raw [][]byte
		for _, n := range numbers {
			raw = append(raw, fmt.Appendf(nil, `{%s,"metaxy_provenance_by_field":{"default":"%s-%d"}}`, k.ids(n), version, n))
		}
		var by []string
		switch {
		case slices.Contains(k.unsorted, parent.Key):
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(raw), func(i, j int) { raw[i], raw[j] = raw[j], raw[i] })
		case inOrder:
			by = parent.IDColumns
		}
		f := s.lookup(parent.Key)
		rec, err := rowjson.ParseRows(slices.Values(raw), nil, parent.IDColumns...)
		if err == nil {
			rec, err = engine.Seal(f, rec, engine.Stamp{Now: nextTime()})
		}
		if err == nil {
			_, err = s.open().Append(s.t.Context(), f.Key(), store.Write{Rows: single(rec), SortedBy: by})
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// shrink deletes samples from the first parent.
func (k *shardedKind) shrink(s *shardedStore, numbers []int) {
	s.t.Helper()
	gone := map[string]bool{}
	for _, n := range numbers {
		gone[k.keys(n)] = true
	}
	s.removeKeys(k.parents[0].Key, gone)
}

// step runs one shard of eight, whose processor computes nothing.
func (s *shardedStore) step(shard int) {
	s.t.Helper()
	by := s.lookup(s.leaf).Spec().IDColumns
	r, err := Run(s.t.Context(), s.session, Options{Concurrency: 1, Shard: Shard{shard, 8}, NoOptimize: true}, Step{
		Graph: s.graph, Feature: s.leaf, Process: ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
			return withColumns(b.Rows, by), nil
		}), Store: func(context.Context) (store.Store, error) { return s.open(), nil },
	})
	if err != nil || r[0].Processed == 0 {
		s.t.Fatalf("shard %d of 8 has processed %d samples: %v", shard, r[0].Processed, err)
	}
}
