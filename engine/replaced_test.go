package engine

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// ahead is a time at which no clock of a test is yet.
var ahead = time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC)

// rewrite writes all that is new and stale by a clock that is right, and removes what is orphaned.
func (s *scene) rewrite(key feature.Key) {
	s.t.Helper()
	inc := s.resolve(key)
	stamp := Stamp{Now: time.Now(), Replaced: inc.Replaced()}
	for status, seal := range map[Status]func(*feature.Feature, arrow.RecordBatch, Stamp) (arrow.RecordBatch, error){
		New: Seal, Stale: Seal, Orphaned: Tombstones,
	} {
		for _, rec := range collect(s.t, inc.Batches(context.Background(), status, nil, 0)) {
			rec, err := seal(s.feature(key), rec, stamp)
			if err != nil {
				s.t.Fatal(err)
			}
			appendRows(s.t, s.store, key, rec)
		}
	}
}

// A writer whose clock is ahead has written, and deleted, samples of which newer rows are written now. Those count.
func TestClockBehindOthers(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b", feature.Dep{Feature: "a"}))
	s.root("a", "1 p q", "2 p q", "3 p q", "4 p q")
	s.clock = ahead.UnixMicro()
	s.run("b")
	s.delete("b", "2")
	s.clock = 10
	s.root("a", "1 p2 q")
	s.delete("a", "3")
	s.expect("b", "new: 2 stale: 1 orphaned: 3")
	s.rewrite("b")
	s.expect("b", "")

	s.root("a", "5 p q")
	s.rewrite("b")
	snap, err := s.store.Snapshot(context.Background(), "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range goRows(collect(t, Read(context.Background(), snap, s.feature("b"), ReadOptions{}))...) {
		if late := row[feature.ColUpdatedAt].(int64) >= ahead.UnixMicro(); late == (row["id"] == "5") {
			t.Errorf("sample %v is stamped %v: only what takes the place of a row from the future may be", row["id"],
				row[feature.ColUpdatedAt])
		}
	}
}

// Rows that others store after the resolve are taken notice of, each sample for itself.
func TestReplacedNote(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b", feature.Dep{Feature: "a"}))
	s.root("a", "1 p q")
	inc := s.resolve("b")
	columns := "id:string metaxy_updated_at:timestamp metaxy_deleted_at:timestamp"
	r := inc.Replaced()
	if err := r.Note(s.rows(columns,
		`{"id":"1","metaxy_updated_at":"2150-01-01T00:00:00Z","metaxy_deleted_at":null}`,
		`{"id":"1","metaxy_updated_at":"2149-01-01T00:00:00Z","metaxy_deleted_at":null}`,
		`{"id":"2","metaxy_updated_at":null,"metaxy_deleted_at":null}`,
		`{"id":"3","metaxy_updated_at":"2020-01-01T00:00:00Z","metaxy_deleted_at":"2160-01-01T00:00:00Z"}`,
		`{"id":"4","metaxy_updated_at":"2020-01-01T00:00:00Z","metaxy_deleted_at":null}`)); err != nil {
		t.Fatal(err)
	}
	if err := r.Note(s.rows("id:string", `{"id":"5"}`)); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UnixMicro()
	got, err := r.times(s.rows("id:string", `{"id":"1"}`, `{"id":"2"}`, `{"id":"3"}`, `{"id":"4"}`, `{"id":"5"}`), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []int64{ahead.UnixMicro() + 1, now, ahead.AddDate(10, 0, 0).UnixMicro() + 1, now, now}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("sample %d is stamped %d, want %d", i+1, got[i], want[i])
		}
	}
	if len(inc.Replaced().at) != 0 {
		t.Error("what was noted changed the increment")
	}
	if following(math.MaxInt64) != math.MaxInt64 || following(math.MinInt64) >= 0 {
		t.Error("the last time of all has no following one")
	}
}
