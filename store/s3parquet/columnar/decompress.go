package columnar

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// maxRatio is more than Snappy and LZ4 can compress anything.
const maxRatio = 256

// decompress returns the size bytes that src was made from, in dst's memory if they fit. It never allocates more than
// src can really hold.
func decompress(codec format.CompressionCodec, dst, src []byte, size int) ([]byte, error) {
	var err error
	switch codec {
	case format.Uncompressed:
		dst = src
	case format.Snappy:
		if n, _ := snappy.DecodedLen(src); n != size || size > maxRatio*(len(src)+1) {
			return nil, corruptf("page of %d bytes does not hold the %d that it claims", len(src), size)
		}
		dst, err = snappy.Decode(grow(dst[:0], size), src)
	case format.Zstd:
		dst, err = decompressZstd(dst[:0], src, size)
	case format.Gzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(src)); err == nil {
			dst, err = readLimited(dst[:0], r, size)
		}
	case format.Brotli:
		dst, err = readLimited(dst[:0], brotli.NewReader(bytes.NewReader(src)), size)
	case format.Lz4Raw:
		dst, err = decompressLZ4(dst, src, size)
	case format.Lz4:
		dst, err = decompressHadoopLZ4(dst, src, size)
	default:
		return nil, unsupportedf("pages are compressed with %s", codec)
	}
	if err != nil {
		return nil, corruptf("decompress %s page: %w", codec, err)
	}
	if len(dst) != size {
		return nil, corruptf("page has %d bytes, and claims %d", len(dst), size)
	}
	return dst, nil
}

// grow returns a slice of length n, in b's memory if that has the room.
func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	return make([]byte, n, n+n/8)
}

func decompressZstd(dst, src []byte, size int) ([]byte, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(size, 1))))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.DecodeAll(src, dst)
}

func readLimited(dst []byte, r io.Reader, size int) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	_, err := io.Copy(b, io.LimitReader(r, int64(size)+1))
	return b.Bytes(), err
}

func decompressLZ4(dst, src []byte, size int) ([]byte, error) {
	if size > maxRatio*(len(src)+1) {
		return nil, corruptf("%d bytes cannot hold %d", len(src), size)
	}
	dst = grow(dst[:0], size)
	n, err := lz4.UncompressBlock(src, dst)
	if err != nil {
		return nil, err
	}
	return dst[:n], nil
}

// decompressHadoopLZ4 reads the deprecated codec, which means frames as Hadoop writes them, or a bare block.
func decompressHadoopLZ4(dst, src []byte, size int) ([]byte, error) {
	out := make([]byte, 0, min(size, maxRatio*(len(src)+1)))
	for rest := src; len(rest) >= 8; {
		plain, packed := int(binary.BigEndian.Uint32(rest)), int(binary.BigEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if packed > len(rest) || plain > size-len(out) {
			return decompressLZ4(dst, src, size)
		}
		block, err := decompressLZ4(nil, rest[:packed], plain)
		if err != nil {
			return decompressLZ4(dst, src, size)
		}
		out, rest = append(out, block...), rest[packed:]
		if len(rest) == 0 {
			return out, nil
		}
	}
	return decompressLZ4(dst, src, size)
}
