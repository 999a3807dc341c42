package engine

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/internal/vectors"
)

func TestHashVectors(t *testing.T) {
	t.Parallel()
	for _, file := range vectors.Files(t, "hash") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var group struct {
			Cases []struct {
				Input    string
				Expected map[string]string
			}
		}
		if err := json.Unmarshal(data, &group); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(group.Cases) == 0 {
			t.Fatalf("%s has no cases", file)
		}
		for _, c := range group.Cases {
			for _, h := range Hashes() {
				want, ok := c.Expected[string(h)]
				if !ok {
					t.Fatalf("%s has no %s of %q", file, h, c.Input)
				}
				if got := (Hashing{Algorithm: h}).Sum(c.Input); got != want {
					t.Errorf("%s of %q = %s, want %s", h, c.Input, got, want)
				}
				if got := (Hashing{Algorithm: h, TruncationLength: 8}).Sum(c.Input); got != want[:min(8, len(want))] {
					t.Errorf("%s of %q cut to 8 = %s, want the start of %s", h, c.Input, got, want)
				}
			}
		}
	}
}

func TestHashDoesNotAllocate(t *testing.T) {
	input, dst := make([]byte, 200), make([]byte, 0, 100)
	for _, h := range Hashes() {
		if n := testing.AllocsPerRun(100, func() { dst = Hashing{Algorithm: h}.Append(dst[:0], input) }); n != 0 {
			t.Errorf("%s allocates %v times", h, n)
		}
	}
}

func TestParseHash(t *testing.T) {
	t.Parallel()
	for _, h := range Hashes() {
		if got, err := ParseHash(string(h)); got != h || err != nil {
			t.Errorf("ParseHash(%q) = %q, %v", h, got, err)
		}
	}
	for _, name := range []string{"", "farmhash", "XXH3", "md5 "} {
		if got, err := ParseHash(name); err == nil {
			t.Errorf("ParseHash(%q) = %q, want an error", name, got)
		}
	}
}
