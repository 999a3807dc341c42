package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"

	"github.com/metaxy-pipes/metaxy-pipes/internal/packed"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// maxRatio is more than Snappy and LZ4 can compress anything.
const maxRatio = 256

// A decompressor decompresses pages one after another; its memory is used again.
type decompressor struct {
	buf  []byte
	zstd *zstd.Decoder
}

// page returns the size bytes that src was made from; they are valid until the next call. It never allocates more than
// src can really hold.
func (d *decompressor) page(codec format.CompressionCodec, src []byte, size int) ([]byte, error) {
	if codec == format.Uncompressed {
		if len(src) != size {
			return nil, corruptf("page has %d bytes, and claims %d", len(src), size)
		}
		return src, nil
	}
	dst, err := d.decode(codec, d.buf[:0], src, size)
	if err != nil {
		return nil, fmt.Errorf("decompress %s page: %w", codec, err)
	}
	if len(dst) != size {
		return nil, corruptf("page has %d bytes, and claims %d", len(dst), size)
	}
	d.buf = dst
	return dst, nil
}

// close gives back what the decoders hold.
func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

func (d *decompressor) decode(codec format.CompressionCodec, dst, src []byte, size int) ([]byte, error) {
	var err error
	switch codec {
	case format.Snappy:
		if n, _ := snappy.DecodedLen(src); n != size || size > maxRatio*(len(src)+1) {
			return nil, corruptf("page of %d bytes does not hold the %d that it claims", len(src), size)
		}
		dst, err = snappy.Decode(grow(dst, size), src)
	case format.Zstd:
		dst, err = d.decodeZstd(dst, src, size)
	case format.Gzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(src)); err == nil {
			dst, err = readLimited(dst, r, size)
		}
	case format.Brotli:
		dst, err = readLimited(dst, brotli.NewReader(bytes.NewReader(src)), size)
	case format.Lz4Raw:
		dst, err = decompressLZ4(dst, src, size)
	case format.Lz4:
		dst, err = decompressHadoopLZ4(dst, src, size)
	default:
		return nil, unsupportedf("codec %d", codec)
	}
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		err = corruptf("%w", err)
	}
	return dst, err
}

// grow returns a slice of length n, in b's memory if that has the room.
func grow(b []byte, n int) []byte {
	if cap(b) >= n {
		return b[:n]
	}
	return make([]byte, n, n+n/8)
}

func (d *decompressor) decodeZstd(dst, src []byte, size int) ([]byte, error) {
	var head zstd.Header
	if err := head.Decode(src); err != nil {
		return nil, err
	}
	if err := packed.CheckZstd(src, int64(size)); err != nil {
		return nil, err
	}
	if d.zstd == nil {
		var err error
		if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1)); err != nil {
			return nil, err
		}
	}
	if head.HasFCS {
		return d.zstd.DecodeAll(src, dst)
	}
	if err := d.zstd.Reset(bytes.NewReader(src)); err != nil {
		return nil, err
	}
	return readLimited(dst, d.zstd, size)
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
	dst = grow(dst, size)
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
