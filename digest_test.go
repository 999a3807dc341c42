package metaxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// unmarked is a table of which nothing is recorded.
type unmarked struct{ store.Snapshot }

func (unmarked) Marks() map[string]int64 { return nil }

// checkDigest compares what is known of a table without reading it with what its rows say. It reports whether anything is.
func (ts *tables) checkDigest() bool {
	ts.t.Helper()
	f := ts.lookup("video/crop")
	snap, err := ts.Snapshot(context.Background(), "video/crop")
	if errors.Is(err, store.ErrNoTable) {
		return false
	}
	if err != nil {
		ts.t.Fatal(err)
	}
	read, err := engine.DataVersion(context.Background(), unmarked{snap}, f)
	if err != nil {
		ts.t.Fatal(err)
	}
	known, ok := engine.KnownDigest(snap, f)
	if ok && (known.Version != read.Version || known.Rows != read.Rows || !known.LastUpdated.Equal(read.LastUpdated)) {
		ts.t.Errorf("version %d: %s of %d rows until %s is recorded, but the rows make %s of %d until %s", snap.Version(),
			known.Version, known.Rows, known.LastUpdated, read.Version, read.Rows, read.LastUpdated)
	}
	return ok
}

// recordDigest records the digest of the table, as a run does of a large one.
func (ts *tables) recordDigest() {
	ts.t.Helper()
	f := ts.lookup("video/crop")
	snap, err := ts.Snapshot(context.Background(), "video/crop")
	if errors.Is(err, store.ErrNoTable) {
		return
	}
	var d engine.Digest
	if err == nil {
		d, err = engine.DataVersion(context.Background(), snap, f)
	}
	if err == nil {
		_, err = ts.Append(context.Background(), f.Key(), store.Write{Marks: d.Marks(f, snap.Version()+1)})
	}
	if err != nil {
		ts.t.Fatal(err)
	}
}

// TestRunKnowsTheDigest: after the last commit of new samples, the digest of the table is known without reading it. It is that
// of the rows, whatever came before, and nothing is known where it might be another one.
func TestRunKnowsTheDigest(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(4, 7))
	known, unknown := 0, 0
	for range 40 {
		ts := newTables(t, graph)
		ts.videos("v1", "first")
		for round := range 8 {
			before := ts.stored("video")
			name := func() string { return fmt.Sprintf("v%02d", random.IntN(30)) }
			switch random.IntN(4) {
			case 0: // removed, and perhaps new again
				gone := name()
				ts.videos("v1", gone)
				ts.mustRun(Options{DeleteOrphaned: true}, ts.step("video/crop", cropper(nil)))
				ts.remove("video", gone)
				ts.mustRun(Options{DeleteOrphaned: random.IntN(4) > 0}, ts.step("video/crop", cropper(nil)))
				ts.checkDigest()
				ts.videos("v1", gone)
			case 1: // new or stale
				ts.videos(fmt.Sprintf("v%d", random.IntN(3)), name(), name()+"x")
			default:
				for i := range 1 + random.IntN(5) {
					ts.videos("v1", fmt.Sprintf("r%d-%d-%d", round, i, before))
				}
			}
			o := Options{FlushRows: int64(1 + random.IntN(4)), BatchSize: 1 + random.IntN(3), MaxFailed: Tolerance{Count: 99}}
			fails := random.IntN(8) == 0
			disturbed, other := random.IntN(8) == 0, name()
			switch random.IntN(10) {
			case 0:
				o.Limit = 2
			case 1:
				o.Shard = Shard{random.IntN(2), 2}
			case 2:
				o.DeleteOrphaned = true
			}
			step := ts.spied(cropper(func(context.Context, string) error {
				if fails && random.IntN(2) == 0 {
					return errors.New("broken")
				}
				return nil
			}), func(store.Write) error {
				if disturbed {
					disturbed = false
					ts.put("video/crop", fmt.Sprintf(`{"id":%q,"crop":"x","metaxy_provenance_by_field":{"default":"1"}}`, other))
				}
				return nil
			})
			o.Concurrency = 1 // the processor draws numbers
			if _, err := ts.run(o, step); err != nil {
				t.Fatal(err)
			}
			if ts.checkDigest() {
				known++
			} else {
				unknown++
				ts.recordDigest()
			}
		}
	}
	if known < 100 || unknown < 50 {
		t.Errorf("the digest was known after %d runs, and unknown after %d", known, unknown)
	}
}
