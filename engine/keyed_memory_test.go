package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A scanCounter counts the scans of its tables.
type scanCounter struct {
	store.Reader
	scans *atomic.Int64
}

type countedSnapshot struct {
	store.Sorted
	scans *atomic.Int64
}

func (r scanCounter) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	snap, err := r.Reader.Snapshot(ctx, key)
	if err != nil {
		return nil, err
	}
	return countedSnapshot{snap.(store.Sorted), r.scans}, nil
}

func (s countedSnapshot) Scan(ctx context.Context, q store.Query) iter.Seq2[store.Batch, error] {
	s.scans.Add(1)
	return s.Sorted.Scan(ctx, q)
}

// Where the runs of all tables together would take more than the memory there is, one run of each table shows that, and nothing
// is merged.
func TestMergeWithinMemory(t *testing.T) {
	t.Parallel()
	const runs, rows = 12, 50
	s := newScene(t, xy("a"), xy("b"), xy("c", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b", Select: []string{}}))
	for run := range runs {
		for _, key := range []feature.Key{"a", "b"} {
			var samples []string
			for i := range rows {
				samples = append(samples, fmt.Sprintf(`{"id":"%04d","metaxy_provenance_by_field":{"x":"%d","y":"%d"}}`, i*runs+run, i, run))
			}
			rec, err := Seal(s.feature(key), s.rows("id:string "+sceneVersions, samples...),
				Stamp{Now: time.UnixMicro(1)})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.store.Append(t.Context(), key, store.Write{Rows: batches(rec), SortedBy: []string{"id"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for limit, want := range map[int64]error{0: nil, 2 * runs * runRoom: nil, runRoom: nil, 64 << 10: errUnordered} {
		var scans atomic.Int64
		p, err := prepare(t.Context(), scanCounter{s.store, &scans}, s.feature("c"), Options{MemoryLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMerge(t.Context(), newKeyed(p))
		if m == nil || err != nil || m.beside {
			t.Fatalf("there is no merge of all tables: %v", err)
		}
		if _, err := m.resolve(t.Context()); !errors.Is(err, want) {
			t.Errorf("with %d bytes: %v, want %v", limit, err, want)
		}
		if n := scans.Load(); want != nil && n != 2 || want == nil && n != int64(len(m.runs)) {
			t.Errorf("with %d bytes %d of %d runs were read", limit, n, len(m.runs))
		}
		inc, err := Resolve(t.Context(), s.store, s.feature("c"), Options{MemoryLimit: limit})
		if err != nil {
			t.Fatal(err)
		}
		if n := inc.Count(New); n != runs*rows {
			t.Errorf("with %d bytes %d samples are new, want %d", limit, n, runs*rows)
		}
	}
}
