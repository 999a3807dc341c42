package metaxy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// TestBatchBytes: batches of large rows have fewer samples, unless somebody says how many they are to have.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	ts := newTables(t, graph)
	var rows []string
	for i := range 14 {
		rows = append(rows, fmt.Sprintf(`{"id":"v%02d","path":%q,"metaxy_provenance_by_field":{"default":"1"}}`, i, strings.Repeat("x", size)))
	}
	ts.put("video", rows...)
	for _, c := range []struct {
		options Options
		step    int
		want    []int
	}{
		{want: []int{6, 6, 2}}, // the row that fills a batch is in it
		{options: Options{BatchSize: 10}, want: []int{10, 4}},
		{step: 9, want: []int{9, 5}},
		{options: Options{BatchSize: 4}, step: 9, want: []int{4, 4, 4, 2}},
	} {
		var mu sync.Mutex
		var got []int
		step := ts.step("video/crop", ProcessorFunc(func(_ context.Context, b *Batch) (arrow.RecordBatch, error) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, int(b.Rows.NumRows()))
			for i := range int(b.Rows.NumRows()) {
				if v := column(b.Rows, "path").(*array.String).Value(i); len(v) != size {
					t.Errorf("a value has %d bytes", len(v))
				}
				b.Fail(i, errNoRow)
			}
			return nil, nil
		}))
		step.BatchSize = c.step
		c.options.Concurrency = 1
		if _, err := ts.run(c.options, step); err == nil {
			t.Error("no sample has failed")
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v, step %d: batches of %d samples, want %d", c.options, c.step, got, c.want)
		}
	}
}
