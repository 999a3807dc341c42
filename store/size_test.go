package store

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// The size of a slice is that of its rows, also below structs and lists.
func TestSize(t *testing.T) {
	t.Parallel()
	texts := array.NewListBuilder(memory.DefaultAllocator, arrow.BinaryTypes.String)
	numbers := array.NewInt64Builder(memory.DefaultAllocator)
	for i := range 100 {
		texts.Append(true)
		for range 2 {
			texts.ValueBuilder().(*array.StringBuilder).Append(strings.Repeat("x", 10*(i/50+1)))
		}
		numbers.Append(int64(i))
	}
	list, number := texts.NewArray(), numbers.NewArray()
	both, err := array.NewStructArray([]arrow.Array{list, number}, []string{"list", "number"})
	if err != nil {
		t.Fatal(err)
	}
	rec := array.NewRecordBatch(arrow.NewSchema([]arrow.Field{
		{Name: "both", Type: both.DataType()}, {Name: "list", Type: list.DataType()}, {Name: "number", Type: number.DataType()},
	}, nil), []arrow.Array{both, list, number}, 100)
	whole := Size(rec)
	first, second := Size(rec.NewSlice(0, 50)), Size(rec.NewSlice(50, 100))
	// Offsets of lists and texts, the texts themselves, numbers; all of it twice. Validity is a bit for each value.
	values := func(text int64) int64 { return 2 * (50*4 + 100*4 + 100*text + 50*8) }
	for name, c := range map[string][2]int64{
		"first half": {first, values(10)}, "second half": {second, values(20)}, "whole": {whole, values(10) + values(20)},
	} {
		if got, least := c[0], c[1]; got < least || got > least+200 {
			t.Errorf("%s: %d bytes, want %d and the validity", name, got, least)
		}
	}
}
