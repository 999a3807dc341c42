package engine

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A distant bucket is one where every request takes a second.
type distant struct{ bucket.Bucket }

func (d distant) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	time.Sleep(time.Second)
	return d.Bucket.Get(ctx, name, off, n)
}

func (d distant) List(ctx context.Context, prefix, after string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		time.Sleep(time.Second)
		d.Bucket.List(ctx, prefix, after)(yield)
	}
}

// TestRoundTripsOfTheLogs counts how many requests wait for one another until a resolve knows its tables, on a clock that
// moves only while everybody waits: for all tables together as many as for one.
func TestRoundTripsOfTheLogs(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	g := feature.MustGraph(
		feature.Spec{Key: "a", IDColumns: []string{"id"}}, feature.Spec{Key: "b", IDColumns: []string{"id"}},
		feature.Spec{Key: "c", IDColumns: []string{"id"}, Deps: []feature.Dep{{Feature: "a", Select: []string{}}, {Feature: "b"}}},
	)
	s, err := s3parquet.Open(t.Context(), folder, s3parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []feature.Key{"a", "b", "c"} {
		for commit := range 19 { // nine behind a checkpoint, which is the most there are
			putNumbered(t, s, g, key, commit)
		}
	}
	f, err := g.Lookup("c")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b, err := bucket.OpenDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, err := prepare(t.Context(), s3parquet.New(distant{b}, s3parquet.Options{}), f, Options{}); err != nil {
			t.Fatal(err)
		}
		// The pointer to the checkpoint, the listing from there on, the checkpoint, the commits.
		if rounds := time.Since(begin) / time.Second; rounds != 4 {
			t.Errorf("%d round trips", rounds)
		}
	})
}

// putNumbered writes a sample.
func putNumbered(t *testing.T, s store.Store, g *feature.Graph, key feature.Key, n int) {
	t.Helper()
	f, err := g.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Appendf(nil, `{"id":"%08d","metaxy_provenance_by_field":{"default":"1"}}`, n)
	rec, err := rowjson.ParseRows(slices.Values([][]byte{row}), nil, "id")
	if err == nil {
		rec, err = Seal(f, rec, Stamp{Now: time.Now()})
	}
	if err == nil {
		_, err = s.Append(t.Context(), key, store.Write{Rows: batches(rec)})
	}
	if err != nil {
		t.Fatal(err)
	}
}
