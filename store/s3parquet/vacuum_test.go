package s3parquet_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// vacuum vacuums table f as if it were a time after now.
func vacuum(t *testing.T, s *s3parquet.Store, later, retain time.Duration, dry bool) s3parquet.Vacuumed {
	t.Helper()
	done, err := s.Vacuum(t.Context(), "f", s3parquet.Vacuuming{Retain: retain, DryRun: dry, Now: time.Now().Add(later)})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func put(t *testing.T, b bucket.Bucket, name string) {
	t.Helper()
	if _, err := b.Put(t.Context(), name, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
}

func listed(t *testing.T, b bucket.Bucket, prefix, part string) []string {
	t.Helper()
	var names []string
	for o, err := range b.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(o.Name, part) {
			names = append(names, strings.TrimPrefix(o.Name, prefix))
		}
	}
	return names
}

const week = 7 * 24 * time.Hour

// Vacuum deletes what was replaced longer ago than it retains, and what no version names, and nothing else.
func TestVacuum(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := s3parquet.New(dir, s3parquet.Options{})
	for i := range 5 {
		appendRows(t, s, "f", write(ids(fmt.Sprint("id", i))))
	}
	old := snapshot(t, s, "f")
	optimize(t, s, byID)
	want := scanned(t, snapshot(t, s, "f"), store.Query{})
	put(t, dir, "f.delta/part-00000-of-a-writer-that-was-killed-c000.snappy.parquet")
	others := []string{"_change_data/cdc.parquet", ".hidden.parquet", "notes.txt", "inner.delta/part-0.parquet", "_delta_index/x.parquet"}
	for _, name := range others {
		put(t, dir, "f.delta/"+name)
	}
	if done := vacuum(t, s, week-time.Minute, week, false); done.Files != 0 || done.LogFiles != 0 {
		t.Errorf("within the retention it deletes %+v", done)
	}
	if rows := scanned(t, old, store.Query{}); len(rows) != 5 {
		t.Errorf("within the retention an older version has %d rows", len(rows))
	}
	dry := vacuum(t, s, week+time.Minute, week, true)
	if dry.Files != 6 || dry.Bytes == 0 || len(dry.Names) != 6 || len(listed(t, dir, "f.delta/", "part-")) != 8 {
		t.Errorf("a dry run finds %+v and leaves %v", dry, listed(t, dir, "f.delta/", "part-"))
	}
	if done := vacuum(t, s, week+time.Minute, week, false); done.Files != 6 || !slices.Equal(done.Names, dry.Names) {
		t.Errorf("it deletes %+v", done)
	}
	for _, name := range others {
		if !slices.Contains(listed(t, dir, "f.delta/", ""), name) {
			t.Errorf("%s is gone", name)
		}
	}
	for _, reader := range []*s3parquet.Store{s, s3parquet.New(dir, s3parquet.Options{})} {
		if got := scanned(t, snapshot(t, reader, "f"), store.Query{}); !slices.Equal(got, want) {
			t.Errorf("afterwards the rows are %q, want %q", got, want)
		}
	}
	if _, err := readRows(t, old); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "missing") {
		t.Errorf("an older version: %v", err)
	}
}

func readRows(t *testing.T, snap store.Snapshot) (n int64, err error) {
	t.Helper()
	for b, err := range snap.Scan(t.Context(), store.Query{}) {
		if err != nil {
			return n, err
		}
		n += b.NumRows()
	}
	return n, nil
}

// A longer retention than the table's own is kept too, although checkpoints forget earlier what was removed.
func TestVacuumRetainsLongerThanTheTable(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := s3parquet.New(dir, s3parquet.Options{})
	w := write(ids("a"))
	w.Properties = map[string]string{"delta.deletedFileRetentionDuration": "interval 0 seconds"}
	appendRows(t, s, "f", w)
	appendRows(t, s, "f", write(ids("b")))
	old := snapshot(t, s, "f")
	optimize(t, s, byID)
	for i := range 10 { // beyond a checkpoint
		appendRows(t, s, "f", write(ids(fmt.Sprint("c", i))))
	}
	again := s3parquet.New(dir, s3parquet.Options{})
	if done := vacuum(t, again, time.Minute, time.Hour, false); done.Files != 0 {
		t.Errorf("it deletes %+v", done)
	}
	if n, err := readRows(t, old); n != 2 || err != nil {
		t.Errorf("the older version has %d rows, %v", n, err)
	}
	if done := vacuum(t, again, time.Hour+time.Minute, time.Hour, false); done.Files != 2 {
		t.Errorf("after the retention it deletes %+v", done)
	}
}

// The log loses what is older than its retention and before a checkpoint of that age; every version after it can be read.
func TestVacuumOfTheLog(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := s3parquet.New(dir, s3parquet.Options{})
	for i := range 25 {
		appendRows(t, s, "f", write(ids(fmt.Sprint("id", i))))
	}
	if done := vacuum(t, s, 4*week, week, false); done.LogFiles != 0 {
		t.Errorf("within the log's own 30 days it deletes %+v", done)
	}
	done := vacuum(t, s, 5*week, week, false)
	if done.Files != 0 || done.LogFiles != 20 { // commits 0 to 18, checkpoint 9
		t.Errorf("it deletes %+v and leaves %v", done, listed(t, dir, "f.delta/_delta_log/", ""))
	}
	for _, reader := range []*s3parquet.Store{s, s3parquet.New(dir, s3parquet.Options{})} {
		if n, err := readRows(t, snapshot(t, reader, "f")); n != 25 || err != nil {
			t.Errorf("afterwards there are %d rows, %v", n, err)
		}
		for v := int64(19); v < 25; v++ {
			snap, err := reader.SnapshotAt(t.Context(), "f", v)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := readRows(t, snap); n != v+1 || err != nil {
				t.Errorf("version %d has %d rows, %v", v, n, err)
			}
		}
		if _, err := reader.SnapshotAt(t.Context(), "f", 18); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("version 18: %v", err)
		}
	}
}

// A log whose checkpoint cannot be read keeps its commits, and so does one that its table keeps.
func TestVacuumKeepsTheLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		property, value string
		damage          bool
		fails           bool
	}{
		"as it is":           {"delta.enableExpiredLogCleanup", "true", false, false},
		"kept by a property": {"delta.enableExpiredLogCleanup", "false", false, false},
		"kept for longer":    {"delta.logRetentionDuration", "interval 52 weeks", false, false},
		"damaged":            {"delta.enableExpiredLogCleanup", "true", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := openDir(t)
			s := s3parquet.New(dir, s3parquet.Options{})
			w := write(ids("a"))
			w.Properties = map[string]string{c.property: c.value}
			appendRows(t, s, "f", w)
			for range 11 {
				appendRows(t, s, "f", write(ids("b")))
			}
			if c.damage {
				put(t, dir, "f.delta/_delta_log/00000000000000000009.checkpoint.parquet")
			}
			done, err := s.Vacuum(t.Context(), "f", s3parquet.Vacuuming{Retain: week, Now: time.Now().Add(8 * week)})
			if c.fails != (err != nil) || (done.LogFiles == 9) != (name == "as it is") {
				t.Errorf("it deletes %+v, %v", done, err)
			}
			if n, err := readRows(t, snapshot(t, s3parquet.New(dir, s3parquet.Options{}), "f")); n != 12 || err != nil {
				t.Errorf("afterwards there are %d rows, %v", n, err)
			}
		})
	}
}

// What a killed writer has begun goes when it is as old as what is replaced, and not before.
func TestVacuumOfWhatWasBegun(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := s3parquet.Open(t.Context(), root, s3parquet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	appendRows(t, s, "f", write(ids("a")))
	begun := []string{"f.delta/.metaxy-tmp-A", "f.delta/_delta_log/.metaxy-tmp-B"}
	left := func() (n int) {
		for _, name := range begun {
			if _, err := os.Stat(filepath.Join(root, name)); err == nil {
				n++
			}
		}
		return n
	}
	for _, name := range begun {
		if err := os.WriteFile(filepath.Join(root, name), []byte("x"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		later      time.Duration
		dry        bool
		done, left int
	}{{week - time.Minute, false, 0, 2}, {week + time.Minute, true, 2, 2}, {week + time.Minute, false, 2, 0}, {2 * week, false, 0, 0}} {
		if done := vacuum(t, s, c.later, week, c.dry); done.Unfinished != c.done || done.Files != 0 || left() != c.left {
			t.Errorf("after %s it deletes %+v and leaves %d", c.later, done, left())
		}
	}
	if rows := scanned(t, snapshot(t, s, "f"), store.Query{}); len(rows) != 1 {
		t.Errorf("the table has %d rows", len(rows))
	}
}
