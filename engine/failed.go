package engine

import (
	"fmt"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// The marks (see store.Write.Marks) under which a table keeps how many samples failed in the last run: one for a run of all
// samples, and one for each of several shards.
const (
	failedMark  = "metaxy_pipes.failed"
	failedShard = failedMark + ":" // then index/count
)

// Failed is how many samples failed in the last run of a table's feature, in all of its shards together.
func Failed(snap store.Snapshot) int64 {
	n := int64(0)
	for name, failed := range snap.Marks() {
		if isFailedMark(name) {
			n += failed
		}
	}
	return n
}

// FailedMarks are the marks to set so that a table says how many samples failed in a run of the given shard. What earlier
// runs have said is gone then, but for the other shards of the same count, which may belong to the same run. Nil says that
// there is nothing to change. The snapshot is nil before the table's first commit.
func FailedMarks(snap store.Snapshot, s Shard, failed int64) map[string]int64 {
	own, kept := failedMark, ""
	if s.Count > 1 {
		own, kept = fmt.Sprintf("%s%d/%d", failedShard, s.Index, s.Count), fmt.Sprintf("/%d", s.Count)
	}
	want := map[string]int64{own: failed}
	var marks map[string]int64
	if snap != nil {
		marks = snap.Marks()
	}
	for name := range marks {
		sibling := kept != "" && strings.HasPrefix(name, failedShard) && strings.HasSuffix(name, kept)
		if isFailedMark(name) && name != own && !sibling {
			want[name] = 0
		}
	}
	for name, n := range want {
		if marks[name] == n {
			delete(want, name)
		}
	}
	if len(want) == 0 {
		return nil
	}
	return want
}

func isFailedMark(name string) bool {
	return name == failedMark || strings.HasPrefix(name, failedShard)
}
