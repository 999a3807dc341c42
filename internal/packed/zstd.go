// Package packed says how much compressed bytes can hold, before anything is unpacked. Decoders take memory for what bytes
// claim to hold.
package packed

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

const (
	// MaxWindow is how far back in bytes a zstd frame may refer unless it holds more than that: what its decoder allocates at
	// once.
	MaxWindow = 64 << 20
	// MaxLZ4Ratio is more bytes than any byte of LZ4 can stand for.
	MaxLZ4Ratio = 255
	// maxBlock is the size up to which a block of zstd unpacks.
	maxBlock = 128 << 10
)

// The kinds of blocks of a zstd frame (RFC 8878, section 3.1.1.2).
const (
	blockRaw, blockRepeated, blockCompressed = 0, 1, 2
)

// CheckZstd fails unless frames of zstd can hold size bytes, and none of them claims more or asks for a window that size does
// not warrant. Bytes that are no frame, because of another codec or damage, hold nothing: the decoder refuses them too.
func CheckZstd(packed []byte, size int64) error {
	room, err := Zstd(packed, size)
	if err == nil && size > room {
		err = fmt.Errorf("%d bytes claim to hold %d; they cannot hold more than %d", len(packed), size, room)
	}
	return err
}

// Zstd returns how many bytes the frames of a buffer can hold at most. It fails if one of them claims more than the size that
// they are expected to have together, or asks for a window that size does not warrant.
func Zstd(packed []byte, size int64) (room int64, err error) {
	for len(packed) > 0 {
		var frame zstd.Header
		rest, err := frame.DecodeAndStrip(packed)
		if err != nil {
			return room, nil
		}
		need := frame.WindowSize
		if frame.SingleSegment {
			need = frame.FrameContentSize
		}
		if frame.Skippable || need > uint64(max(size, MaxWindow)) || frame.HasFCS && frame.FrameContentSize > uint64(max(size, 0)) {
			return 0, fmt.Errorf("a zstd frame asks for %d bytes to unpack %d", max(need, frame.FrameContentSize), size)
		}
		holds, n := blocks(rest)
		if frame.HasCheckSum {
			n += 4
		}
		room += holds
		packed = rest[min(n, len(rest)):]
	}
	return room, nil
}

// blocks returns how much the blocks of a frame hold at most, and where they end.
func blocks(b []byte) (holds int64, end int) {
	for len(b)-end >= 3 {
		head := int(b[end]) | int(b[end+1])<<8 | int(b[end+2])<<16
		size := head >> 3
		end += 3
		switch head >> 1 & 3 {
		case blockRaw:
			holds, end = holds+int64(size), end+size
		case blockRepeated:
			holds, end = holds+int64(size), end+1
		case blockCompressed:
			holds, end = holds+maxBlock, end+size
		default: // reserved: the decoder stops here
			return holds, len(b)
		}
		if head&1 == 1 {
			break
		}
	}
	return holds, min(end, len(b))
}
