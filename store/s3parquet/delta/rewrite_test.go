package delta_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/delta"
)

// rewrite takes files out and puts one in the place of the first of them; "" puts none.
func rewrite(name string, removes ...string) delta.Change {
	c := delta.Change{Removes: removes}
	if name != "" {
		c.Schema, c.Files = idSchema, []delta.Add{{Path: name, Size: 10, Replaces: removes[0]}}
	}
	return c
}

// Files that take the place of others are in that place for everybody: who follows the log, who reads all of it, who
// begins at our checkpoint, and who begins at one that knows nothing of places.
func TestRewriteKeepsPlaces(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	for _, name := range []string{"a", "b", "c", "ü d%", "e"} {
		add(t, table, change(name))
	}
	steps := []struct {
		change delta.Change
		want   string
	}{
		{rewrite("b2", "b"), "a b2 c ü d% e"},
		{rewrite("d2", "ü d%"), "a b2 c d2 e"},
		{rewrite("b3", "b2"), "a b3 c d2 e"},
		{change("f"), "a b3 c d2 e f"},
		{rewrite("", "a"), "b3 c d2 e f"},
		{rewrite("m", "c", "d2"), "b3 m e f"},
		{rewrite("f2", "f"), "b3 m e f2"},
		{change("g"), "b3 m e f2 g"},
		{rewrite("z", "b3"), "z m e f2 g"},
		{rewrite("m2", "m"), "z m2 e f2 g"},
	}
	for _, s := range steps {
		version := add(t, table, s.change)
		for _, tab := range []*delta.Table{table, fresh(table)} {
			if got := strings.Join(names(snapshot(t, tab)), " "); got != s.want {
				t.Fatalf("version %d has files %s, want %s", version, got, s.want)
			}
		}
	}
	snap := snapshot(t, fresh(table))
	if err := table.Checkpoint(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	for version := range int(snap.Version) {
		if err := b.Delete(t.Context(), commitFile(version)); err != nil {
			t.Fatal(err)
		}
	}
	if got := snapshot(t, fresh(table)); !slices.Equal(names(got), names(snap)) || got.Removal != snap.Removal {
		t.Errorf("the checkpoint has files %q and removal %d, want %q and %d", names(got), got.Removal, names(snap), snap.Removal)
	}
	byTime := slices.Clone(snap.Files)
	slices.SortFunc(byTime, func(a, b *delta.File) int { return int(a.ModificationTime - b.ModificationTime) })
	if !slices.Equal(byTime, snap.Files) {
		t.Error("the modification times have another order than the files")
	}
}

// What a file replaces has to go in the same commit; so a tag that says otherwise does nothing.
func TestReplacesTagAlone(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	add(t, table, change("a"))
	add(t, table, change("b"))
	writeObject(t, b, commitFile(2), `{"add":{"path":"c","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,`+
		`"tags":{"metaxy.replaces":"a"}}}`+"\n"+
		`{"add":{"path":"d","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true,`+
		`"tags":{"metaxy.replaces":"nothing"}}}`+"\n")
	if got := strings.Join(names(snapshot(t, table)), " "); got != "a b c d" {
		t.Errorf("the files are %s, want a b c d", got)
	}
	c := rewrite("x", "a")
	c.Removes = []string{"b"}
	if _, err := table.Append(t.Context(), snapshot(t, table), c); err == nil {
		t.Error("a file takes the place of one that is not removed")
	}
}

// A rewrite conflicts with another one of the same file and with nothing else.
func TestRewriteConflicts(t *testing.T) {
	t.Parallel()
	table, _ := newTable(t)
	for _, name := range []string{"a", "b", "c"} {
		add(t, table, change(name))
	}
	base := snapshot(t, table)
	other := fresh(table)
	add(t, other, change("late"))
	moved := rewrite("a2", "a")
	moved.Moved = true
	if v, err := table.Append(t.Context(), base, moved); err != nil || v != 4 {
		t.Fatalf("rewrite beside an append = %d, %v; want version 4", v, err)
	}
	if v, err := table.Append(t.Context(), base, rewrite("b2", "b")); err != nil || v != 5 {
		t.Fatalf("rewrite of another file = %d, %v; want version 5", v, err)
	}
	if _, err := table.Append(t.Context(), base, rewrite("a3", "a", "c")); !errors.Is(err, store.ErrConflict) {
		t.Errorf("rewrite of a file that is gone = %v, want store.ErrConflict", err)
	}
	s := snapshot(t, fresh(table))
	if got := strings.Join(names(s), " "); got != "a2 b2 c late" {
		t.Errorf("the files are %s", got)
	}
	if s.Removal != 5 {
		t.Errorf("the last removal is %d, want 5: moving rows removes none", s.Removal)
	}
	plans := 0
	v, err := table.Update(t.Context(), base, func(_ context.Context, base *delta.Snapshot) (*delta.Change, error) {
		plans++
		c := rewrite(fmt.Sprintf("new%d", plans), names(base)[0])
		return &c, nil
	})
	if !errors.Is(err, store.ErrConflict) && (err != nil || v != 6 || plans < 2) {
		t.Errorf("Update from an old version = %d, %v after %d plans", v, err, plans)
	}
}

// The actions have what other programs look for.
func TestRewriteActions(t *testing.T) {
	t.Parallel()
	table, b := newTable(t)
	c := change("ü a")
	c.Files[0].Stats = `{"numRecords":1}`
	add(t, table, c)
	c = rewrite("b", "ü a")
	c.Operation, c.Parameters, c.Metrics = "DELETE", map[string]string{"predicate": "id = 'x'"}, map[string]int64{"num_deleted_rows": 7}
	add(t, table, c)
	log := readObject(t, b, commitFile(1))
	for _, want := range []string{`"remove":{"path":"%C3%BC%20a","deletionTimestamp":1`, `"dataChange":true`, `"extendedFileMetadata":true`,
		`"partitionValues":{}`, `"size":10`, `"stats":"{\"numRecords\":1}"`, `"operation":"DELETE"`,
		`"predicate":"id = 'x'"`, `"num_deleted_rows":7`, `"num_removed_files":1`, `"isBlindAppend":false`} {
		if !strings.Contains(log, want) {
			t.Errorf("the commit lacks %s:\n%s", want, log)
		}
	}
}

func TestAppendOnly(t *testing.T) {
	t.Parallel()
	table, _ := newTable(t)
	c := change("a")
	c.Properties = map[string]string{"delta.appendOnly": "true"}
	add(t, table, c)
	if _, err := table.Append(t.Context(), snapshot(t, table), rewrite("b", "a")); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("rewrite of an append-only table = %v, want store.ErrUnsupported", err)
	}
	moved := rewrite("c", "a")
	moved.Moved = true
	add(t, table, moved)
}
