package delta_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// A folderLog is a log in a folder that tests damage.
type folderLog struct {
	t    *testing.T
	root string
}

// dir is the folder as a bucket.
func (l *folderLog) dir() *bucket.Dir {
	l.t.Helper()
	b, err := bucket.OpenDir(l.root)
	if err != nil {
		l.t.Fatal(err)
	}
	return b
}

// looking is the table by way of names, listing the same by way of listings alone.
func (l *folderLog) looking() *delta.Table { return &delta.Table{Bucket: l.dir(), Path: "a/b.delta"} }
func (l *folderLog) listing() *delta.Table {
	return &delta.Table{Bucket: &buckettest.Faults{Bucket: l.dir(), Fail: -1}, Path: "a/b.delta"}
}

func (l *folderLog) file(name string) string { return filepath.Join(l.root, logFile(name)) }

func (l *folderLog) write(name, body string) {
	l.t.Helper()
	if err := os.WriteFile(l.file(name), []byte(body), 0o666); err != nil {
		l.t.Fatal(err)
	}
}

func (l *folderLog) move(from, to string) {
	l.t.Helper()
	if err := os.Rename(l.file(from), l.file(to)); err != nil {
		l.t.Fatal(err)
	}
}

// commits writes the commits of versions, as a foreign writer that makes no checkpoint.
func (l *folderLog) commits(from, to int) {
	l.t.Helper()
	for v := from; v <= to; v++ {
		l.write(commitName(v), fmt.Sprintf(`{"add":{"path":"%d","partitionValues":{},"size":10,"modificationTime":%d,"dataChange":true}}`+"\n", v, v))
	}
}

// lose removes commits.
func (l *folderLog) lose(from, to int) {
	l.t.Helper()
	for v := from; v <= to; v++ {
		if err := os.Remove(l.file(commitName(v))); err != nil {
			l.t.Fatal(err)
		}
	}
}

// checkpoint writes one at a version, which _last_checkpoint then names.
func (l *folderLog) checkpoint(version int64) {
	l.t.Helper()
	table := l.listing()
	s, err := table.SnapshotAt(l.t.Context(), version)
	if err == nil {
		err = table.Checkpoint(l.t.Context(), s)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func commitName(version int) string     { return fmt.Sprintf("%020d.json", version) }
func checkpointName(version int) string { return fmt.Sprintf("%020d.checkpoint.parquet", version) }

func hintAt(version int) string { return fmt.Sprintf(`{"version":%d}`, version) }

// found is what a reader gets, as text.
func found(t *testing.T, table *delta.Table) string {
	t.Helper()
	s, err := table.Snapshot(t.Context())
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(s.Version, s.Removal, names(s))
}

// logsToLookAt says what happens to a log of the commits 0 to 24 with checkpoints of 9 and 19, after somebody has seen it.
var logsToLookAt = map[string]func(*folderLog){
	"nothing":                    func(*folderLog) {},
	"one more":                   func(l *folderLog) { l.commits(25, 25) },
	"many more":                  func(l *folderLog) { l.commits(25, 90) },
	"more than is looked for":    func(l *folderLog) { l.commits(25, 1200) },
	"a checkpoint among them":    func(l *folderLog) { l.commits(25, 90); l.checkpoint(60) },
	"the hint is older":          func(l *folderLog) { l.write("_last_checkpoint", hintAt(9)) },
	"the hint is newer":          func(l *folderLog) { l.write("_last_checkpoint", hintAt(99)) },
	"the hint is of a commit":    func(l *folderLog) { l.write("_last_checkpoint", hintAt(23)) },
	"the hint is damaged":        func(l *folderLog) { l.write("_last_checkpoint", "{") },
	"no hint":                    func(l *folderLog) { _ = os.Remove(l.file("_last_checkpoint")) },
	"the checkpoint is gone":     func(l *folderLog) { _ = os.Remove(l.file(checkpointName(19))) },
	"the checkpoint is damaged":  func(l *folderLog) { l.write(checkpointName(19), "PAR1") },
	"the checkpoint is a folder": func(l *folderLog) { l.move(checkpointName(19), "x"); _ = os.Mkdir(l.file(checkpointName(19)), 0o777) },
	"its commit is gone":         func(l *folderLog) { l.lose(19, 19) },
	"the last commit is gone":    func(l *folderLog) { l.lose(24, 24) },
	"one in a part": func(l *folderLog) {
		l.move(checkpointName(19), "00000000000000000019.checkpoint.0000000001.0000000001.parquet")
	},
	"of the second kind": func(l *folderLog) {
		l.move(checkpointName(19), "00000000000000000019.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet")
	},
	"a commit is lost":         func(l *folderLog) { l.lose(22, 22) },
	"some are lost":            func(l *folderLog) { l.commits(25, 60); l.lose(22, 45) },
	"some later ones are lost": func(l *folderLog) { l.commits(25, 60); l.lose(30, 45) },
	"many are lost":            func(l *folderLog) { l.commits(25, 160); l.lose(25, 90) },
	"cleaned up":               func(l *folderLog) { l.commits(25, 120); l.checkpoint(110); l.lose(0, 109) },
	"cleaned up without order": func(l *folderLog) { l.commits(25, 120); l.checkpoint(110); l.lose(20, 23); l.lose(25, 109) },
	"cleaned up behind the hint": func(l *folderLog) {
		l.commits(25, 55)
		l.checkpoint(50)
		l.lose(25, 49)
		l.write("_last_checkpoint", hintAt(19))
	},
	"made anew":                func(l *folderLog) { l.move("", "../old"); _ = os.Mkdir(l.file(""), 0o777) },
	"damage in a later commit": func(l *folderLog) { l.write(commitName(25), "{") },
	"others' files": func(l *folderLog) {
		l.write("00000000000000000025.json.tmp", "{")
		l.write("00000000000000000026.crc", "{}")
	},
}

// Looking for commits by their names finds what a listing of the log finds, or the same error, in a process that knows nothing
// yet and in one that knows an older version.
func TestLookingAgreesWithListing(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	for i := range 25 {
		add(t, table, change(fmt.Sprint(i)))
	}
	for name, happens := range logsToLookAt {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &folderLog{t: t, root: filepath.Join(t.TempDir(), "copy")}
			if err := os.CopyFS(l.root, os.DirFS(filepath.FromSlash(b.URI("")[len("file://"):]))); err != nil {
				t.Fatal(err)
			}
			looking, listing := l.looking(), l.listing()
			if a, b := found(t, looking), found(t, listing); a != b {
				t.Fatalf("before: %s, by listing %s", a, b)
			}
			happens(l)
			want := found(t, l.listing())
			if got := found(t, l.looking()); got != want {
				t.Errorf("looking finds\n%s\nand listing\n%s", got, want)
			}
			known := found(t, listing)
			if got := found(t, looking); got != known {
				t.Errorf("a process that knew version 24 finds by looking\n%s\nand by listing\n%s", got, known)
			}
			if strings.HasPrefix(name, "cleaned up") && (known != want || strings.Contains(want, "missing")) {
				t.Errorf("a process that knew version 24 finds\n%s\nand one that knows nothing\n%s", known, want)
			}
		})
	}
}

// Who deletes what the newest version does not name is not told of an older one, however many commits after that are lost.
func TestNewestSeesBehindLostCommits(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	for i := range 12 {
		add(t, table, change(fmt.Sprint(i)))
	}
	l := &folderLog{t: t, root: filepath.FromSlash(b.URI("")[len("file://"):])}
	l.commits(12, 300)
	l.lose(12, 299)
	for name, table := range map[string]*delta.Table{"one that knows version 11": table, "one that knows nothing": l.looking()} {
		if _, err := table.Newest(t.Context()); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s takes an earlier version for the newest one: %v", name, err)
		}
	}
}

// unlisted is a folder that lists nothing.
type unlisted struct {
	*bucket.Dir
}

// List implements bucket.Bucket.
func (unlisted) List(context.Context, string, string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) { yield(bucket.Object{}, os.ErrPermission) }
}

// A log with a checkpoint is read, followed and written to without a listing of its folder.
func TestFolderIsNotListed(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	var want []string
	for i := range 12 {
		want = append(want, fmt.Sprint(i))
		add(t, table, change(want[i]))
	}
	unlisted := &delta.Table{Bucket: unlisted{b}, Path: table.Path}
	if got := names(snapshot(t, unlisted)); !slices.Equal(got, want) {
		t.Fatalf("files are %q, want %q", got, want)
	}
	add(t, table, change("others"))
	add(t, unlisted, change("own"))
	if got := names(snapshot(t, unlisted)); !slices.Equal(got, append(want, "others", "own")) {
		t.Errorf("files are %q, want %q and two more", got, want)
	}
}
