package samplekey_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
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

// TestMembers pins which shard of four the samples are in that a division puts into intervals, and those that it does not.
func TestMembers(t *testing.T) {
	t.Parallel()
	rec := rows(t, arrow.PrimitiveTypes.Int64, `[{"v": "a", "n": 1}, {"v": "b", "n": 1}, {"v": "cc", "n": null}, {"v": "h", "n": 1},
		{"v": "i", "n": 1}, {"v": "z", "n": 1}, {"v": null, "n": 1}, {"v": "a", "n": null}]`)
	division := &store.Division{Column: "v", Starts: []string{"b", "c", "d", "e", "f"}, End: "h"}
	keys, err := samplekey.New(rec, []string{"v", "n"})
	if err != nil {
		t.Fatal(err)
	}
	hashed := func(key string) int {
		return slices.IndexFunc([]int{0, 1, 2, 3}, func(i int) bool { return samplekey.InShard(key, i, 4) })
	}
	want := []int{hashed(`"a",1`), 0, 1, 0, hashed(`"i",1`), hashed(`"z",1`), 0, 0}
	for i := range 4 {
		m, err := samplekey.NewMembers(rec, division, i, 4)
		if err != nil {
			t.Fatal(err)
		}
		for row, shard := range want {
			key, _ := keys.At(row)
			if got := m.Has(key, row); got != (shard == i) {
				t.Errorf("row %d is in shard %d: %t, want shard %d", row, i, got, shard)
			}
		}
	}
	if _, err := samplekey.NewMembers(rec, &store.Division{Column: "x"}, 0, 4); err == nil {
		t.Error("a missing column is no error")
	}
}
