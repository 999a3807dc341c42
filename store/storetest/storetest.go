// Package storetest checks that a store.Store keeps the promises of the interface.
package storetest

import (
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// key is the feature whose table the checks write.
const key = feature.Key("video/full")

// Run checks the stores that open returns, each of them empty. Every check has a store of its own, and checks run in
// parallel.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	checks := []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"Missing", missing},
		{"AppendAndScan", appendAndScan},
		{"EmptyAppend", emptyAppend},
		{"FailedAppend", failedAppend},
		{"Expect", expect},
		{"Properties", properties},
		{"Marks", marks},
		{"Keys", keys},
		{"Snapshots", snapshots},
		{"ConcurrentAppends", concurrentAppends},
		{"SortedBy", sortedBy},
		{"NewColumns", newColumns},
		{"NewMembers", newMembers},
		{"TypeClash", typeClash},
		{"Conversions", conversions},
		{"UntypedColumns", untypedColumns},
		{"EveryType", everyType},
		{"NastyValues", nastyValues},
		{"ManyRows", manyRows},
		{"Columns", columns},
		{"Members", members},
		{"Where", where},
		{"Delete", deleteRows},
		{"DeleteNothing", deleteNothing},
		{"DeleteKeepsOrder", deleteKeepsOrder},
		{"DeleteBesideOthers", deleteBesideOthers},
		{"After", after},
		{"Within", within},
		{"SortedRuns", sortedRuns},
		{"NoNulls", noNulls},
		{"State", state},
		{"Fetch", fetch},
		{"FetchEvolved", fetchEvolved},
		{"Cancellation", cancellation},
		{"EarlyBreak", earlyBreak},
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(t, s)
		})
	}
}
