package s3parquet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	const part, all = 64, 64 * 32
	kept := newKept(part, all)
	n := all/part + 10
	for i := range n {
		kept.put(fmt.Sprint(i), 100, bytes.Repeat([]byte{byte(i)}, part))
	}
	kept.put("large", 0, make([]byte, part+1))
	kept.put("nothing", 0, nil)
	if kept.bytes > all || len(kept.known) != all/part || len(kept.order) != len(kept.known) {
		t.Errorf("%d files with %d bytes are kept", len(kept.known), kept.bytes)
	}
	for name, want := range map[string]bool{"0": false, "9": false, "10": true, fmt.Sprint(n - 1): true, "large": false} {
		if _, ok := kept.get(name, 100, 8); ok != want {
			t.Errorf("file %s is kept: %t, want %t", name, ok, want)
		}
	}
	kept.forget("10")
	kept.forget("10")
	if _, ok := kept.get("10", 100, 8); ok || kept.bytes != all-part {
		t.Errorf("what was forgotten is kept: %t, with %d bytes in all", ok, kept.bytes)
	}
}

// TestKeptGivesWhatWasPut puts parts that overlap, and asks for parts of them.
func TestKeptGivesWhatWasPut(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{"a": make([]byte, 500), "b": make([]byte, 500)}
	random := rand.New(rand.NewPCG(1, 2))
	for _, file := range files {
		for i := range file {
			file[i] = byte(random.Uint32())
		}
	}
	kept := newKept(100, 1000)
	hits := 0
	for range 20_000 {
		for name, file := range files {
			off := random.IntN(len(file))
			n := random.IntN(min(120, len(file)-off) + 1)
			want := file[off : off+n]
			if random.IntN(2) == 0 {
				kept.put(name, int64(off), want)
				if _, ok := kept.get(name, int64(off), n); n > 0 && n <= 100 && !ok {
					t.Fatalf("bytes %d to %d are not there after they were put", off, off+n)
				}
				continue
			}
			if got, ok := kept.get(name, int64(off), n); ok {
				if hits++; !bytes.Equal(got, want) {
					t.Fatalf("bytes %d to %d are others than were put", off, off+n)
				}
			}
		}
		sum := 0
		for name, parts := range kept.known {
			for i, p := range parts {
				if sum += len(p.data); i > 0 && (p.off <= parts[i-1].off || p.end() <= parts[i-1].end()) {
					t.Fatalf("of %s a part lies in another", name)
				}
			}
		}
		if sum != kept.bytes || sum > 1000 {
			t.Fatalf("%d bytes are kept, %d counted", sum, kept.bytes)
		}
	}
	if hits < 1000 {
		t.Errorf("only %d parts were found", hits)
	}
}
