package samplekey_test

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
)

func rows(t *testing.T, number arrow.DataType, text string) arrow.RecordBatch {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{
		{Name: "v", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: number, Nullable: true},
	}, nil)
	rec, _, err := array.RecordFromJSON(memory.DefaultAllocator, s, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestKeys states the keys, on which the division of samples rests: they must never change.
func TestKeys(t *testing.T) {
	t.Parallel()
	const text = `[{"v": "a,\"\n", "n": 7}, {"v": "", "n": -1}, {"v": null, "n": 1}, {"v": "é😀", "n": null}]`
	want := []string{`"a,\"\n",7`, `"",-1`, "", ""}
	for _, number := range []arrow.DataType{arrow.PrimitiveTypes.Int64, arrow.PrimitiveTypes.Int8} {
		k, err := samplekey.New(rows(t, number, text), []string{"v", "n"})
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if got, ok := k.At(i); got != w || ok != (w != "") {
				t.Errorf("row %d with %s: %q, %t; want %q", i, number, got, ok, w)
			}
		}
	}
	if _, err := samplekey.New(rows(t, arrow.PrimitiveTypes.Int64, "[]"), []string{"x"}); err == nil {
		t.Error("a missing column is no error")
	}
}

// TestInShard pins where some samples belong, and that each belongs to one shard.
func TestInShard(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int{`"a"`: 3, `"b"`: 7, `"c"`: 7, `7`: 2, `"a",7`: 4, ``: 2} {
		n := 0
		for i := range 8 {
			if samplekey.InShard(key, i, 8) {
				n++
				if i != want {
					t.Errorf("%s is in shard %d of 8, want %d", key, i, want)
				}
			}
		}
		if n != 1 || !samplekey.InShard(key, 0, 0) || !samplekey.InShard(key, 0, 1) {
			t.Errorf("%s is in %d of 8 shards", key, n)
		}
	}
}
