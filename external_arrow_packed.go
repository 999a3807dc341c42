package metaxy

import (
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/internal/packed"
)

// checkPacked fails unless a buffer that is compressed by zstd or LZ4 can hold as much as it claims. The library allocates what
// is claimed before it looks at the bytes.
func checkPacked(buffer []byte, size int64) error {
	room, err := packed.Zstd(buffer, size)
	if err != nil {
		return err
	}
	if room = max(room, packed.MaxLZ4Ratio*int64(len(buffer))); size > room {
		return fmt.Errorf("a compressed buffer of %d bytes claims to hold %d; it cannot hold more than %d", len(buffer), size, room)
	}
	return nil
}
