package metaxy

import (
	"sync/atomic"
	"time"
)

var ticks atomic.Int64

// nextTime is later at each call, so that what a test writes second is newer.
func nextTime() time.Time { return time.UnixMicro(1_700_000_000_000_000 + ticks.Add(1)).UTC() }
