package engine

import (
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// sized is a snapshot of which only its size is known.
type sized struct {
	store.Snapshot
	rows, bytes int64
}

func (s sized) RowsHint() int64  { return s.rows }
func (s sized) BytesHint() int64 { return s.bytes }

// TestFirstChunk: the first rows that are fetched are no more than the bound on bytes allows, if the files tell their size.
func TestFirstChunk(t *testing.T) {
	t.Parallel()
	small, large, huge := sized{rows: 1 << 40, bytes: 100 << 40}, sized{rows: 10, bytes: 10 << 20}, sized{rows: 3, bytes: 90 << 20}
	for i, c := range []struct {
		sources []fetcher
		want    int
	}{
		{[]fetcher{small}, firstChunkRows},
		{[]fetcher{large}, 16},
		{[]fetcher{small, large}, 16},
		{[]fetcher{huge, large}, 1},
		{[]fetcher{sized{}}, firstChunkRows},
		{[]fetcher{sized{rows: 5}}, firstChunkRows},
		{[]fetcher{sized{bytes: 1 << 40}}, firstChunkRows},
		{[]fetcher{&samples{}}, firstChunkRows},
		{nil, firstChunkRows},
	} {
		r := frameReader{sources: c.sources}
		if got := r.firstChunk(); got != c.want {
			t.Errorf("%d: %d rows, want %d", i, got, c.want)
		}
	}
}
