package engine

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

const benchRows = 1_000_000

// benchGraph is two roots with two fields and children of one and of both of them.
func benchGraph() *feature.Graph {
	fields := []feature.Field{{Key: "audio"}, {Key: "frames"}}
	return feature.MustGraph(
		feature.Spec{Key: "a", IDColumns: []string{"id"}, Fields: fields},
		feature.Spec{Key: "b", IDColumns: []string{"id"}, Fields: fields},
		feature.Spec{Key: "one", IDColumns: []string{"id"}, Fields: fields, Deps: []feature.Dep{{Feature: "a"}}},
		feature.Spec{Key: "two", IDColumns: []string{"id"}, Fields: fields, Deps: []feature.Dep{
			{Feature: "a"}, {Feature: "b", Select: []string{}}}},
		feature.Spec{Key: "group", IDColumns: []string{"id"}, Fields: fields, Deps: []feature.Dep{
			{Feature: "a", Lineage: feature.Lineage{Kind: feature.ManyToOne}}}},
	)
}

// benchRoot is n rows of a root, from the given one on, in batches of 64Ki rows.
func benchRoot(b *testing.B, s store.Store, f *feature.Feature, from, n int, version string) {
	b.Helper()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: feature.ColProvenanceByField, Nullable: true, Type: arrow.StructOf(
			arrow.Field{Name: "audio", Type: arrow.BinaryTypes.String, Nullable: true},
			arrow.Field{Name: "frames", Type: arrow.BinaryTypes.String, Nullable: true})},
	}, nil)
	for ; n > 0; n -= 1 << 16 {
		rb := array.NewRecordBuilder(memory.DefaultAllocator, schema)
		versions := rb.Field(1).(*array.StructBuilder)
		for i := range min(n, 1<<16) {
			rb.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("video_%08d", (from+i)*7919%(10*benchRows)))
			versions.Append(true)
			versions.FieldBuilder(0).(*array.StringBuilder).Append(fmt.Sprintf("audio-%d-%s", from+i, version))
			versions.FieldBuilder(1).(*array.StringBuilder).Append(fmt.Sprintf("frames-%d", from+i))
		}
		benchAppend(b, s, f, rb.NewRecordBatch())
		from += 1 << 16
	}
}

func benchAppend(b *testing.B, s store.Store, f *feature.Feature, rec arrow.RecordBatch) {
	b.Helper()
	rows, err := Seal(f, rec, Stamp{Now: time.UnixMicro(1)})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Append(context.Background(), f.Key(), store.Write{Rows: batches(rows)}); err != nil {
		b.Fatal(err)
	}
}

// benchStore has both roots with n rows, and children that were computed before a hundredth of the rows changed.
func benchStore(b *testing.B, g *feature.Graph, n int, children ...feature.Key) store.Store {
	b.Helper()
	s := store.NewMemory()
	lookup := func(key feature.Key) *feature.Feature {
		f, err := g.Lookup(key)
		if err != nil {
			b.Fatal(err)
		}
		return f
	}
	benchRoot(b, s, lookup("a"), 0, n, "1")
	benchRoot(b, s, lookup("b"), 0, n, "1")
	for _, key := range children {
		inc, err := Resolve(context.Background(), s, lookup(key), Options{})
		if err != nil {
			b.Fatal(err)
		}
		for rec, err := range inc.Batches(context.Background(), New, nil, 1<<16) {
			if err != nil {
				b.Fatal(err)
			}
			benchAppend(b, s, lookup(key), rec)
		}
	}
	benchRoot(b, s, lookup("a"), 0, n/100, "2")
	return s
}

func BenchmarkResolve(b *testing.B) {
	for _, key := range []feature.Key{"one", "two", "group"} {
		b.Run(string(key), func(b *testing.B) {
			g := benchGraph()
			s := benchStore(b, g, benchRows, key)
			f, err := g.Lookup(key)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			b.ResetTimer()
			for b.Loop() {
				inc, err := Resolve(context.Background(), s, f, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if inc.Count(Stale) != benchRows/100 || inc.Count(New)+inc.Count(Orphaned) != 0 {
					b.Fatalf("new=%d stale=%d orphaned=%d", inc.Count(New), inc.Count(Stale), inc.Count(Orphaned))
				}
			}
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/(1<<20), "MB/op")
		})
	}
}

func BenchmarkDataVersion(b *testing.B) {
	g := benchGraph()
	s := benchStore(b, g, benchRows)
	f, err := g.Lookup("a")
	if err != nil {
		b.Fatal(err)
	}
	snap, err := s.Snapshot(context.Background(), "a")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if d, err := DataVersion(context.Background(), snap, f); err != nil || d.Rows != benchRows {
			b.Fatal(d, err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	input, dst := make([]byte, 100), make([]byte, 0, 64)
	for _, h := range Hashes() {
		b.Run(string(h), func(b *testing.B) {
			b.SetBytes(int64(len(input)))
			for b.Loop() {
				dst = Hashing{Algorithm: h}.Append(dst[:0], input)
			}
		})
	}
}
