package s3parquet

import (
	"bytes"
	"fmt"
	"testing"
)

func TestTailsAreBounded(t *testing.T) {
	t.Parallel()
	var kept tails
	n := maxTails/maxTail + 10
	for i := range n {
		kept.put(fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, maxTail))
	}
	kept.put("large", make([]byte, maxTail+1))
	if kept.bytes > maxTails || len(kept.known) != maxTails/maxTail || len(kept.order) != len(kept.known) {
		t.Errorf("%d files with %d bytes are kept", len(kept.known), kept.bytes)
	}
	for name, want := range map[string]bool{"0": false, "9": false, "10": true, fmt.Sprint(n - 1): true, "large": false} {
		if _, ok := kept.get(name, 8); ok != want {
			t.Errorf("file %s is kept: %t, want %t", name, ok, want)
		}
	}
	if tail, _ := kept.get("10", 8); !bytes.Equal(tail, bytes.Repeat([]byte{10}, 8)) {
		t.Errorf("the end of file 10 is %v", tail)
	}
	if _, ok := kept.get("10", maxTail+1); ok {
		t.Error("more than is known is returned")
	}
}
