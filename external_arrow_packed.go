package metaxy

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxWindow is how far back a zstd frame may refer unless it holds more than that: what its decoder allocates at once.
	maxWindow = 64 << 20
	// maxLZ4Ratio is more than any byte of LZ4 can stand for.
	maxLZ4Ratio = 255
	// maxZstdBlock is the size up to which a block of zstd unpacks.
	maxZstdBlock = 128 << 10
)

// The kinds of blocks of a zstd frame (RFC 8878, section 3.1.1.2).
const (
	zstdRaw, zstdRepeated, zstdCompressed = 0, 1, 2
)

// checkPacked fails unless a compressed buffer can hold as much as it claims. The library allocates what is claimed before
// it looks at the bytes.
func checkPacked(packed []byte, size int64) error {
	room, err := zstdRoom(packed, size)
	if err != nil {
		return err
	}
	if room = max(room, maxLZ4Ratio*int64(len(packed))); size > room {
		return fmt.Errorf("a compressed buffer of %d bytes claims to hold %d; it cannot hold more than %d", len(packed), size, room)
	}
	return nil
}

// zstdRoom returns how much the frames of a buffer can hold at most; size is how much they should. Bytes that are no frame,
// because of another codec or damage, hold nothing: the decoder refuses them too.
func zstdRoom(packed []byte, size int64) (room int64, err error) {
	for len(packed) > 0 {
		var frame zstd.Header
		rest, err := frame.DecodeAndStrip(packed)
		if err != nil {
			return room, nil
		}
		window := frame.WindowSize
		if frame.SingleSegment {
			window = frame.FrameContentSize
		}
		if frame.Skippable || window > uint64(max(size, maxWindow)) {
			return 0, fmt.Errorf("a zstd frame asks for %d bytes to unpack %d", window, size)
		}
		holds, n := zstdBlocks(rest)
		if frame.HasCheckSum {
			n += 4
		}
		room += holds
		packed = rest[min(n, len(rest)):]
	}
	return room, nil
}

// zstdBlocks returns how much the blocks of a frame hold at most, and where they end.
func zstdBlocks(b []byte) (holds int64, end int) {
	for len(b)-end >= 3 {
		head := int(b[end]) | int(b[end+1])<<8 | int(b[end+2])<<16
		size := head >> 3
		end += 3
		switch head >> 1 & 3 {
		case zstdRaw:
			holds, end = holds+int64(size), end+size
		case zstdRepeated:
			holds, end = holds+int64(size), end+1
		case zstdCompressed:
			holds, end = holds+maxZstdBlock, end+size
		default: // reserved: the decoder stops here
			return holds, len(b)
		}
		if head&1 == 1 {
			break
		}
	}
	return holds, min(end, len(b))
}
