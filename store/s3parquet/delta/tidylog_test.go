package delta

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

// An oldLog is a table in a folder with a commit an hour, whose files have the times that they would have.
type oldLog struct {
	t       *testing.T
	root    string
	now     time.Time
	commits int64
}

// grownLog writes the log: each commit adds a file, and there is a checkpoint after every twentieth.
func grownLog(t *testing.T, commits int64) *oldLog {
	t.Helper()
	l := &oldLog{t: t, root: t.TempDir(), now: time.Now(), commits: commits}
	first := Change{Schema: oneColumn, Files: []Add{{Path: "0"}}}
	if _, err := l.table().Append(t.Context(), nil, first); err != nil {
		t.Fatal(err)
	}
	for v := int64(1); v < commits; v++ {
		l.append(v)
	}
	table := l.table()
	for v := int64(19); v < commits; v += 20 {
		s, err := table.SnapshotAt(t.Context(), v)
		if err == nil {
			err = table.Checkpoint(t.Context(), s)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l.age()
	return l
}

// append writes a commit.
func (l *oldLog) append(v int64) {
	l.t.Helper()
	body := fmt.Sprintf(`{"add":{"path":"%d","partitionValues":{},"size":1,"modificationTime":%d,"dataChange":true}}`+"\n", v, v)
	if err := os.WriteFile(l.file(commitName(v)), []byte(body), 0o666); err != nil {
		l.t.Fatal(err)
	}
}

// copied is the log in a folder of its own.
func (l *oldLog) copied(t *testing.T) *oldLog {
	t.Helper()
	c := &oldLog{t: t, root: filepath.Join(t.TempDir(), "copy"), now: l.now, commits: l.commits}
	if err := os.CopyFS(c.root, os.DirFS(l.root)); err != nil {
		t.Fatal(err)
	}
	c.age()
	return c
}

// age gives the files their times.
func (l *oldLog) age() {
	l.t.Helper()
	for _, name := range l.names() {
		f, ok := parseLogName(name, bucket.Object{})
		if !ok {
			continue
		}
		at := l.now.Add(-time.Duration(l.commits-f.version) * time.Hour)
		if err := os.Chtimes(l.file(name), at, at); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *oldLog) bucket() *bucket.Dir {
	l.t.Helper()
	b, err := bucket.OpenDir(l.root)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

func (l *oldLog) table() *Table { return &Table{Bucket: l.bucket(), Path: "t"} }

func (l *oldLog) file(name string) string { return filepath.Join(l.root, "t", logDir, name) }

func (l *oldLog) names() (names []string) {
	l.t.Helper()
	entries, err := os.ReadDir(filepath.Join(l.root, "t", logDir))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// count is how many commits and checkpoints there are.
func (l *oldLog) count() (commits, checkpoints int) {
	for _, name := range l.names() {
		switch {
		case strings.HasSuffix(name, ".json"):
			commits++
		case strings.HasSuffix(name, ".checkpoint.parquet"):
			checkpoints++
		}
	}
	return commits, checkpoints
}

// tidy does so by way of a bucket, as if the table had a property.
func (l *oldLog) tidy(b bucket.Bucket, property, value string) error {
	l.t.Helper()
	table := &Table{Bucket: b, Path: "t"}
	s, err := l.table().Snapshot(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	s.MetaData.Configuration = map[string]string{property: value}
	return table.tidyLog(l.t.Context(), s, time.Now())
}

// check reads versions from one on and compares them with what was committed.
func (l *oldLog) check(from int64) {
	l.t.Helper()
	for v := l.commits - 1; v >= from; v -= 43 {
		s, err := l.table().SnapshotAt(l.t.Context(), v)
		if err != nil {
			l.t.Errorf("version %d: %v", v, err)
			continue
		}
		for i, f := range s.Files {
			if f.Name != fmt.Sprint(i) {
				l.t.Fatalf("version %d has file %s at place %d", v, f.Name, i)
			}
		}
		if len(s.Files) != int(v)+1 {
			l.t.Errorf("version %d has %d files", v, len(s.Files))
		}
	}
}

// Tidying takes what has expired and checkpoints that save little. Each version that is kept is read as before, also when
// tidying breaks off anywhere.
func TestTidyLog(t *testing.T) {
	t.Parallel()
	grown := grownLog(t, 700)
	for name, c := range map[string]struct {
		property, value      string
		commits, checkpoints int   // that are left
		oldest               int64 // version that can be read
	}{
		// 700 hours are less than 30 days. Of the 35 checkpoints, one in a hundred commits stays (19 to 619), and those that
		// were the newest in the last day (659, 679, 699). Where what is before them expires within a day (439 to 479), so do
		// those behind that.
		"young":    {"", "", 700, 10, 0},
		"expired":  {"delta.logRetentionDuration", "interval 10 days", 700 - 439, 8, 439},
		"all kept": {"delta.enableExpiredLogCleanup", "false", 700, 35, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := grown.copied(t)
			for fail := int64(2); fail < 400; fail = fail*2 + 1 {
				b := &buckettest.Faults{Bucket: l.bucket(), Fail: fail, Mode: buckettest.Modes()[0]}
				if err := l.tidy(b, c.property, c.value); err == nil {
					break
				}
				l.check(c.oldest)
			}
			if err := l.tidy(l.bucket(), c.property, c.value); err != nil {
				t.Fatal(err)
			}
			l.check(c.oldest)
			if commits, checkpoints := l.count(); commits != c.commits || checkpoints != c.checkpoints {
				t.Errorf("%d commits and %d checkpoints are left, want %d and %d", commits, checkpoints, c.commits, c.checkpoints)
			}
			before := l.names()
			if err := l.tidy(l.bucket(), c.property, c.value); err != nil || !slices.Equal(before, l.names()) {
				t.Errorf("tidied again (%v), there are %d files, before %d", err, len(l.names()), len(before))
			}
			if c.oldest > 0 {
				if _, err := l.table().SnapshotAt(t.Context(), c.oldest-1); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("a version that expired: %v", err)
				}
			}
		})
	}
}

// A slowBucket lets something happen before the first time that something is deleted.
type slowBucket struct {
	bucket.Bucket
	meanwhile func()
	once      sync.Once
}

// Delete implements bucket.Bucket.
func (b *slowBucket) Delete(ctx context.Context, name string) error {
	b.once.Do(b.meanwhile)
	return b.Bucket.Delete(ctx, name)
}

// A writer that tidies and is stopped before it deletes takes nothing from what another one leaves hours later.
func TestTidyLogBySlowWriters(t *testing.T) {
	t.Parallel()
	const property, value = "delta.logRetentionDuration", "interval 5 days"
	grown := grownLog(t, 400)
	for _, hours := range []int64{2, 22} {
		l := grown.copied(t)
		slow := &slowBucket{Bucket: l.bucket(), meanwhile: func() {
			for range hours {
				l.append(l.commits)
				l.commits++
			}
			l.now = l.now.Add(time.Duration(hours) * time.Hour)
			l.age()
			if err := l.tidy(l.bucket(), property, value); err != nil {
				t.Fatal(err)
			}
		}}
		l.now = l.now.Add(-24 * time.Hour)
		l.age()
		if err := l.tidy(slow, property, value); err != nil {
			t.Fatal(err)
		}
		l.check(299)
		l.check(320)
	}
}

// A clock that is ahead of the storage's takes nothing.
func TestTidyLogByTheStoragesClock(t *testing.T) {
	t.Parallel()
	l := grownLog(t, 40)
	before := l.names()
	s, err := l.table().Snapshot(t.Context())
	if err == nil {
		err = l.table().tidyLog(t.Context(), s, time.Now().AddDate(1, 0, 0))
	}
	if err != nil || !slices.Equal(before, l.names()) {
		t.Errorf("a year ahead (%v) there are %q, before %q", err, l.names(), before)
	}
}

// A checkpoint stays if a commit that would be needed in its place is missing.
func TestSpareCheckpointsNeedTheirCommits(t *testing.T) {
	t.Parallel()
	l := grownLog(t, 100)
	if err := os.Remove(l.file(commitName(30))); err != nil {
		t.Fatal(err)
	}
	files, err := l.table().list(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var spare []int64
	for _, o := range spareCheckpoints(files, l.now, time.Time{}) {
		f, _ := parseLogName(filepath.Base(o.Name), o)
		spare = append(spare, f.version)
	}
	if !slices.Equal(spare, []int64{59, 79}) { // 19 is the first, 39 needs commit 30, 99 is the newest
		t.Errorf("checkpoints %d can be spared", spare)
	}
}

// Writers tidy by themselves, now and then.
func TestWritersTidyTheLog(t *testing.T) {
	t.Parallel()
	l := &oldLog{t: t, root: t.TempDir(), now: time.Now(), commits: 2000}
	table := l.table()
	var base *Snapshot
	for v := range int64(21) {
		if v == 12 {
			l.age() // by two months
		}
		c := Change{Schema: oneColumn, Files: []Add{{Path: fmt.Sprint(v)}}, Properties: map[string]string{"delta.checkpointInterval": "1"}}
		_, err := table.Append(t.Context(), base, c)
		if err == nil {
			base, err = table.Snapshot(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		want := int64(0)
		if v >= 19 { // tidied, with the checkpoint of version 11 as the newest that has expired
			want = 11
		}
		oldest := slices.Min(slices.Collect(maps.Values(versionsIn(l.names()))))
		if oldest != want {
			t.Errorf("after version %d the oldest in the log is %d, want %d", v, oldest, want)
		}
	}
}

// versionsIn are the versions of the files of a log.
func versionsIn(names []string) map[string]int64 {
	versions := map[string]int64{}
	for _, name := range names {
		if f, ok := parseLogName(name, bucket.Object{}); ok {
			versions[name] = f.version
		}
	}
	return versions
}
