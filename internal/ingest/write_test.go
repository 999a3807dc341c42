package ingest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// spy notes the ids of each commit, in the order in which they are written, and what they are declared to be sorted by.
type spy struct {
	store.Store
	ids      []string
	sortedBy []string
}

func (s *spy) Append(ctx context.Context, key feature.Key, w store.Write) (store.Commit, error) {
	s.ids, s.sortedBy = nil, w.SortedBy
	for rec, err := range w.Rows {
		if err != nil {
			return store.Commit{}, err
		}
		col := rec.Column(rec.Schema().FieldIndices("id")[0]).(*array.String)
		for i := range col.Len() {
			s.ids = append(s.ids, col.Value(i))
		}
	}
	return s.Store.Append(ctx, key, w)
}

// TestSorted ingests shuffled samples, and then new, changed and removed ones in one commit: all are written in order.
func TestSorted(t *testing.T) {
	t.Parallel()
	st := &spy{Store: store.NewMemory()}
	order := rand.New(rand.NewPCG(1, 2)).Perm(30_000)
	var first, second strings.Builder
	for _, i := range order {
		fmt.Fprintf(&first, "{\"id\":\"s%d\",\"n\":%d}\n", i, i)
		if i%3 > 0 { // a third is removed, a third unchanged, a third changed, and as many are new
			fmt.Fprintf(&second, "{\"id\":\"s%d\",\"n\":%d}\n", i, i*(i%3))
		} else {
			fmt.Fprintf(&second, "{\"id\":\"t%d\",\"n\":%d}\n", i, i)
		}
	}
	for i, text := range []string{first.String(), second.String()} {
		want := []Result{{New: 30_000}, {New: 10_000, Stale: 10_000, Unchanged: 10_000, Removed: 10_000}}[i]
		got, err := takeAll(t, st, text)
		if err != nil || got != want {
			t.Fatalf("got %+v, %v; want %+v", got, err, want)
		}
		if !slices.Equal(st.sortedBy, []string{"id"}) || len(st.ids) != 30_000 || !slices.IsSorted(st.ids) {
			t.Errorf("ingest %d: %d rows, declared to be sorted by %q, sorted: %t",
				i, len(st.ids), st.sortedBy, slices.IsSorted(st.ids))
		}
	}
	if again, err := takeAll(t, st, second.String()); err != nil || again != (Result{Unchanged: 30_000}) {
		t.Errorf("again: %+v, %v; want nothing but unchanged samples", again, err)
	}
}
