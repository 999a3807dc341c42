package s3parquet_test

import (
	"fmt"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

func newBenchStore(b *testing.B) (*s3parquet.Store, string) {
	b.Helper()
	dir := b.TempDir()
	d, err := bucket.OpenDir(dir)
	if err != nil {
		b.Fatal(err)
	}
	return s3parquet.New(d, s3parquet.Options{}), dir
}

// BenchmarkSnapshot opens a table of a thousand commits: by a store that has never seen it, and by one that has.
func BenchmarkSnapshot(b *testing.B) {
	s, dir := newBenchStore(b)
	for i := range 1000 {
		if _, err := s.Append(b.Context(), "f", write(ids(fmt.Sprint(i)))); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			fresh, err := s3parquet.Open(b.Context(), dir, s3parquet.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := fresh.Snapshot(b.Context(), "f"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Snapshot(b.Context(), "f"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAppend writes, and BenchmarkScan reads, a hundred thousand rows.
func BenchmarkAppend(b *testing.B) {
	s, _ := newBenchStore(b)
	rows := manyIDs(100_000)
	for b.Loop() {
		if _, err := s.Append(b.Context(), "f", write(ids(rows...))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	s, _ := newBenchStore(b)
	if _, err := s.Append(b.Context(), "f", write(ids(manyIDs(100_000)...))); err != nil {
		b.Fatal(err)
	}
	snap, err := s.Snapshot(b.Context(), "f")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := int64(0)
		for batch, err := range snap.Scan(b.Context(), store.Query{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += batch.NumRows()
		}
		if n != 100_000 {
			b.Fatalf("%d rows", n)
		}
	}
}

func manyIDs(n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("sample-%08d", i)
	}
	return values
}
