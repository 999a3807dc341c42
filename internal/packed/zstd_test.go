package packed_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/metaxy-pipes/metaxy-pipes/internal/packed"
)

// TestZstd: what an encoder makes, at every level and in one frame or several, has room for its content.
func TestZstd(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBestCompression} {
		encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level))
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			content := make([]byte, random.IntN(400_000))
			distinct := random.IntN(256) + 1
			for i := range content {
				content[i] = byte(random.IntN(distinct))
			}
			cut := random.IntN(len(content) + 1)
			var stream bytes.Buffer // without its length in the frame
			w, err := zstd.NewWriter(&stream, zstd.WithEncoderLevel(level))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			size := int64(len(content))
			two := append(encoder.EncodeAll(content[:cut], nil), encoder.EncodeAll(content[cut:], nil)...)
			for _, frames := range [][]byte{encoder.EncodeAll(content, nil), two, stream.Bytes()} {
				if err := packed.CheckZstd(frames, size); err != nil {
					t.Errorf("%d bytes of %d distinct ones: %v", size, distinct, err)
				}
				if packed.CheckZstd(frames, size+1<<30) == nil {
					t.Errorf("%d bytes pass for %d", size, size+1<<30)
				}
			}
		}
	}
}
