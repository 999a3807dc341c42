// Command generate writes the stores of the benchmark with our own writer: the same graphs and rows as prepare.py makes
// with Metaxy, in a fraction of the time, as many as the disk holds. The rows of a table are sorted by id, or in an order
// that has nothing to do with it, as a table has that another system wrote.
package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

const config = `store = "bench"
project = "bench"

[stores.bench]
type = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"

[stores.bench.config]
root_path = "%s"
`

// hashing is Metaxy's default.
var hashing = engine.Hashing{Algorithm: engine.XXHash32, TruncationLength: 8}

type options struct {
	graph, order, leaf, changes string
	rows, changed               int
	settled                     bool
	out                         string
}

func main() {
	var o options
	flag.StringVar(&o.graph, "graph", "simple", "simple or wide")
	flag.IntVar(&o.rows, "rows", 1_000_000, "samples")
	flag.StringVar(&o.order, "order", "sorted", "sorted or shuffled")
	flag.StringVar(&o.leaf, "leaf", "full", "full, or none: without a table of the leaf every sample is new")
	flag.IntVar(&o.changed, "changed", -1, "how many samples of the first root change afterwards; -1 is a tenth")
	flag.StringVar(&o.changes, "changes", "scattered", "scattered, or clustered: the changed samples' ids lie side by side")
	flag.BoolVar(&o.settled, "settled", false, "record before the change that nothing is left to do, as a run does")
	flag.StringVar(&o.out, "out", "", "a folder that is not there yet")
	flag.Parse()
	if o.changed < 0 {
		o.changed = o.rows / 10
	}
	if err := o.generate(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func (o options) generate(ctx context.Context) error {
	g, roots, leaf := graph(o.graph)
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	folder, err := filepath.Abs(filepath.Join(o.out, "store"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "metaxy.toml"), fmt.Appendf(nil, config, folder), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.out, "features.json"), []byte(features[o.graph]), 0o644); err != nil {
		return err
	}
	s, err := s3parquet.Open(ctx, folder, s3parquet.Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	at := time.Now().Add(-time.Hour)
	for _, key := range roots {
		if err := o.write(ctx, s, g, key, o.rootRows(g, key, "v1", o.numbers(o.rows)), at); err != nil {
			return err
		}
	}
	if o.leaf == "full" {
		if err := o.write(ctx, s, g, leaf, o.leafRows(g, leaf, roots), at.Add(time.Minute)); err != nil {
			return err
		}
	}
	if o.settled {
		if err := settle(ctx, s, g, leaf); err != nil {
			return err
		}
	}
	if o.changed == 0 {
		return nil
	}
	return o.write(ctx, s, g, roots[0], o.rootRows(g, roots[0], "v2", o.changedNumbers()), at.Add(2*time.Minute))
}

// write appends rows as one commit.
func (o options) write(ctx context.Context, s store.Store, g *feature.Graph, key feature.Key, rows iter.Seq2[arrow.RecordBatch, error], at time.Time) error {
	f, err := g.Lookup(key)
	if err != nil {
		return err
	}
	sealed := func(yield func(arrow.RecordBatch, error) bool) {
		for rec, err := range rows {
			if err == nil {
				rec, err = engine.Seal(f, rec, engine.Stamp{Now: at, Hashing: hashing})
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
	w := store.Write{Rows: sealed, Properties: hashing.Properties()}
	if o.order == "sorted" {
		w.SortedBy = f.Spec().IDColumns
	}
	_, err = s.Append(ctx, key, w)
	return err
}

// settle records that the leaf has nothing to do.
func settle(ctx context.Context, s store.Store, g *feature.Graph, leaf feature.Key) error {
	f, err := g.Lookup(leaf)
	if err != nil {
		return err
	}
	inc, err := engine.Resolve(ctx, s, f, engine.Options{Hashing: hashing})
	if err != nil {
		return err
	}
	if n := inc.Count(engine.New) + inc.Count(engine.Stale) + inc.Count(engine.Orphaned); n > 0 {
		return fmt.Errorf("%d samples of %s are not as they should be", n, leaf)
	}
	snap, err := s.Snapshot(ctx, leaf)
	if err != nil {
		return err
	}
	version := snap.Version()
	_, err = s.Append(ctx, leaf, store.Write{Marks: inc.SettledMarks(version + 1), Expect: &version})
	return err
}

const batchRows = 1 << 14

// numbers yields the numbers below n, in the order of the table, batch by batch.
func (o options) numbers(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		step := 1
		if o.order == "shuffled" {
			for step = int(float64(n)*0.618) | 1; gcd(step, n) != 1; step += 2 {
			}
		}
		at := 0
		for from := 0; from < n; from += batchRows {
			batch := make([]int, 0, batchRows)
			for range min(batchRows, n-from) {
				batch = append(batch, at)
				at = (at + step) % n
			}
			if !yield(batch) {
				return
			}
		}
	}
}

// changedNumbers yields the samples that change: an interval in the middle, or every so many.
func (o options) changedNumbers() iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for batch := range o.numbers(o.changed) {
			for i, n := range batch {
				if o.changes == "clustered" {
					batch[i] = (o.rows-o.changed)/2 + n
				} else {
					batch[i] = int(int64(n) * int64(o.rows) / int64(o.changed))
				}
			}
			if !yield(batch) {
				return
			}
		}
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// rootRows are rows of a root: an id, a column with a path, and a version for each field.
func (o options) rootRows(g *feature.Graph, key feature.Key, version string, numbers iter.Seq[[]int]) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		f, err := g.Lookup(key)
		if err != nil {
			yield(nil, err)
			return
		}
		for batch := range numbers {
			ids, paths := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
			for _, n := range batch {
				ids.Append(fmt.Sprintf("sample_%010d", n))
				paths.Append(fmt.Sprintf("s3://bucket/raw/%d.mp4", n))
			}
			path := "path"
			if key == "wide/right" {
				path = "source"
			}
			rec, err := record([]string{"sample_uid", path, feature.ColProvenanceByField},
				[]arrow.Array{ids.NewArray(), paths.NewArray(), versions(f, version, batch)})
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// versions is a version of each field for each sample.
func versions(f *feature.Feature, version string, batch []int) arrow.Array {
	var fields []arrow.Field
	var members []arrow.Array
	for _, field := range f.Spec().Fields {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		prefix := version + "_" + string(field.Key) + "_"
		for _, n := range batch {
			b.Append(fmt.Sprint(prefix, n))
		}
		fields = append(fields, arrow.Field{Name: field.Key.StructKey(), Type: arrow.BinaryTypes.String, Nullable: true})
		members = append(members, b.NewArray())
	}
	out, err := array.NewStructArrayWithFields(members, fields)
	if err != nil {
		panic(err) // equal lengths
	}
	return out
}

// leafRows are the leaf's rows as they are computed from the first versions of the roots.
func (o options) leafRows(g *feature.Graph, key feature.Key, roots []feature.Key) iter.Seq2[arrow.RecordBatch, error] {
	return func(yield func(arrow.RecordBatch, error) bool) {
		f, err := g.Lookup(key)
		if err != nil {
			yield(nil, err)
			return
		}
		for batch := range o.numbers(o.rows) {
			ids, paths := array.NewStringBuilder(memory.DefaultAllocator), array.NewStringBuilder(memory.DefaultAllocator)
			for _, n := range batch {
				ids.Append(fmt.Sprintf("sample_%010d", n))
				paths.Append(fmt.Sprintf("s3://bucket/raw/%d.mp4", n))
			}
			names, columns := []string{"sample_uid", "path"}, []arrow.Array{ids.NewArray(), paths.NewArray()}
			for _, parent := range f.Parents() {
				names = append(names, feature.ColDataVersionByField+parent.Feature.Key().Suffix())
				columns = append(columns, versions(parent.Feature, "v1", batch))
			}
			rec, err := record(names, columns)
			if err == nil {
				rec, err = engine.ComputeProvenance(f, rec, hashing)
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

func record(names []string, columns []arrow.Array) (arrow.RecordBatch, error) {
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		fields[i] = arrow.Field{Name: name, Type: columns[i].DataType(), Nullable: true}
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, int64(columns[0].Len())), nil
}
