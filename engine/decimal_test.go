package engine

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestAppendDecimal(t *testing.T) {
	check := func(v uint64) {
		t.Helper()
		if got, want := string(appendDecimal([]byte("x"), v)), "x"+strconv.FormatUint(v, 10); got != want {
			t.Fatalf("%d is written as %q", v, got)
		}
	}
	for v := uint64(1); v < math.MaxUint64/10; v *= 10 {
		check(v - 1)
		check(v)
		check(v + 1)
	}
	check(math.MaxUint64)
	check(math.MaxUint32)
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		check(r.Uint64() >> r.UintN(64))
	}
}

func BenchmarkAppendDecimal(b *testing.B) {
	dst := make([]byte, 0, 32)
	for i := range b.N {
		dst = appendDecimal(dst[:0], uint64(uint32(i)*2654435761))
	}
}

func BenchmarkAppendUint(b *testing.B) {
	dst := make([]byte, 0, 32)
	for i := range b.N {
		dst = strconv.AppendUint(dst[:0], uint64(uint32(i)*2654435761), 10)
	}
}
