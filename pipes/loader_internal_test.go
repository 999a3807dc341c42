package pipes

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// TestReadBounded: what is longer than the limit is refused, whether its length is known before or not.
func TestReadBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		length, size int64
		refused      bool
	}{{10, 10, false}, {10, 0, false}, {10, -1, false}, {11, 0, true}, {11, -1, true}, {11, 10, true}, {0, 0, false}} {
		data, err := readBounded(bytes.NewReader(make([]byte, c.length)), c.size, 10)
		if errors.Is(err, ErrRefused) != c.refused || !c.refused && (err != nil || int64(len(data)) != c.length) {
			t.Errorf("%d bytes, said to be %d, of at most 10: %d bytes, %v", c.length, c.size, len(data), err)
		}
	}
	if _, err := ReadBlob(iotest.ErrReader(errors.New("it was read")), maxContext+1); !errors.Is(err, ErrRefused) {
		t.Errorf("more than the limit, as is known before: %v, want ErrRefused", err)
	}
	if _, err := ReadBlob(iotest.ErrReader(errors.New("cut off")), 5); errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("a body that breaks off: %v, want its error", err)
	}
}
