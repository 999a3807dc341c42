package engine

import (
	"bytes"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// keyRows makes two rows of a string, an integer and a string column, with nulls where the bits of nulls are set.
func keyRows(t *testing.T, a1, a2 string, n1, n2 int64, b1, b2 string, nulls uint8) []keyColumn {
	t.Helper()
	mem := memory.DefaultAllocator
	sa, sn, sb := array.NewStringBuilder(mem), array.NewInt64Builder(mem), array.NewStringBuilder(mem)
	sa.AppendValues([]string{a1, a2}, []bool{nulls&1 == 0, nulls&2 == 0})
	sn.AppendValues([]int64{n1, n2}, []bool{nulls&4 == 0, nulls&8 == 0})
	sb.AppendValues([]string{b1, b2}, []bool{nulls&16 == 0, nulls&32 == 0})
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "a", Type: arrow.BinaryTypes.String, Nullable: true}, {Name: "n", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "b", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	cols := []arrow.Array{sa.NewArray(), sn.NewArray(), sb.NewArray()}
	keys, err := keyColumns(array.NewRecordBatch(schema, cols, 2), []string{"a", "n", "b"})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Two ids have one encoding exactly when they are equal, whatever is in their strings.
func FuzzKeyEncodingIsInjective(f *testing.F) {
	f.Add("a", "a", int64(1), int64(1), "b", "b", uint8(0))
	f.Add("ab", "a", int64(0), int64(0), "c", "bc", uint8(0))
	f.Add("", "", int64(0), int64(0), "", "", uint8(1))
	f.Add("\x00", "", int64(-1), int64(255), "s", "\x00s", uint8(16))
	f.Add("i\x01\x00\x00\x00\x00\x00\x00\x00s", "i", int64(1), int64(1), "", "é", uint8(4))
	f.Fuzz(func(t *testing.T, a1, a2 string, n1, n2 int64, b1, b2 string, nulls uint8) {
		keys := keyRows(t, a1, a2, n1, n2, b1, b2, nulls)
		one, null1 := appendKey(nil, keys, 0)
		two, null2 := appendKey(nil, keys, 1)
		same := func(x, y bool, equal bool) bool { return x == y && (x || equal) }
		want := same(nulls&1 != 0, nulls&2 != 0, a1 == a2) && same(nulls&4 != 0, nulls&8 != 0, n1 == n2) &&
			same(nulls&16 != 0, nulls&32 != 0, b1 == b2)
		if got := bytes.Equal(one, two); got != want {
			t.Errorf("equal encodings: %v, equal rows: %v", got, want)
		}
		if got := sameKey(keys, 0, keys, 1); got != want {
			t.Errorf("sameKey = %v, equal rows: %v", got, want)
		}
		if null1 != (nulls&(1|4|16) != 0) || null2 != (nulls&(2|8|32) != 0) {
			t.Errorf("nulls %v and %v for bits %08b", null1, null2, nulls)
		}
		if !want && len(one) <= len(two) && bytes.HasPrefix(two, one) {
			t.Error("one encoding is the beginning of another")
		}
	})
}

func TestIndexGrows(t *testing.T) {
	t.Parallel()
	x := newIndex(0)
	hash := func(e uint32) uint64 { return uint64(e) * 0x9e3779b97f4a7c15 }
	for e := range uint32(100_000) {
		slot, found := x.find(hash(e), func(o uint32) bool { return o == e })
		if found {
			t.Fatalf("entry %d is there before it was set", e)
		}
		x.set(slot, hash(e), e)
	}
	for e := range uint32(100_000) {
		slot, found := x.find(hash(e), func(o uint32) bool { return o == e })
		if !found || x.entry(slot) != e {
			t.Fatalf("entry %d is not found after the index has grown", e)
		}
	}
}

// Keys with one hash are told apart by comparing them.
func TestIndexCollisions(t *testing.T) {
	t.Parallel()
	x := newIndex(0)
	for e := range uint32(1000) {
		slot, found := x.find(42<<32, func(o uint32) bool { return o == e })
		if found {
			t.Fatalf("entry %d is taken for another one", e)
		}
		x.set(slot, 42<<32, e)
	}
	for e := range uint32(1000) {
		if slot, found := x.find(42<<32, func(o uint32) bool { return o == e }); !found || x.entry(slot) != e {
			t.Fatalf("entry %d is not found among its equals", e)
		}
	}
}
