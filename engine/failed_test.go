package engine

import (
	"context"
	"maps"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// oneRow is a row of a table of which only the marks matter.
func oneRow() arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String}}, nil))
	b.Field(0).(*array.StringBuilder).Append("a")
	return b.NewRecordBatch()
}

// TestFailedMarks tells the story of a table by who ran over it, and what it then says of failed samples.
func TestFailedMarks(t *testing.T) {
	t.Parallel()
	ctx, w := context.Background(), store.NewMemory()
	if _, err := w.Append(ctx, "f", store.Write{Rows: func(yield func(arrow.RecordBatch, error) bool) { yield(oneRow(), nil) }}); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		shard        Shard
		failed, want int64
		silent       bool // nothing has changed, so nothing is written
	}{
		{shard: Shard{}, failed: 0, want: 0, silent: true},
		{shard: Shard{}, failed: 5, want: 5},
		{shard: Shard{}, failed: 5, want: 5, silent: true},
		{shard: Shard{0, 3}, failed: 2, want: 2}, // a later run in shards has the word
		{shard: Shard{2, 3}, failed: 0, want: 2, silent: true},
		{shard: Shard{1, 3}, failed: 4, want: 6},
		{shard: Shard{0, 3}, failed: 1, want: 5}, // the shard runs again
		{shard: Shard{1, 23}, failed: 7, want: 7},
		{shard: Shard{1, 3}, failed: 1, want: 1},
		{shard: Shard{0, 1}, failed: 3, want: 3}, // the only shard is the whole
		{shard: Shard{1, 3}, failed: 1, want: 1},
		{shard: Shard{}, failed: 0, want: 0},
	} {
		snap, err := w.Snapshot(ctx, "f")
		if err != nil {
			t.Fatal(err)
		}
		marks := FailedMarks(snap, step.shard, step.failed)
		if (marks == nil) != step.silent {
			t.Errorf("step %d sets %v", i, marks)
		}
		if marks != nil {
			if _, err := w.Append(ctx, "f", store.Write{Marks: marks}); err != nil {
				t.Fatal(err)
			}
		}
		if snap, err = w.Snapshot(ctx, "f"); err != nil {
			t.Fatal(err)
		}
		if got := Failed(snap); got != step.want {
			t.Errorf("step %d: %d samples failed, want %d, by %v", i, got, step.want, snap.Marks())
		}
	}
	if got := FailedMarks(nil, Shard{1, 2}, 3); !maps.Equal(got, map[string]int64{"metaxy_pipes.failed:1/2": 3}) {
		t.Errorf("before the first commit: %v", got)
	}
}
