package delta

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

var oneColumn = arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)

// Random histories of files that come, go and come again: whoever begins at a checkpoint, however many checkpoints have
// passed it on, knows the tombstones that somebody knows who has followed every commit.
func TestTombstonesOfCheckpoints(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 0))
		b, err := bucket.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		all := &Table{Bucket: b, Path: "t"} // has followed every commit
		writer := all
		for range 45 {
			base, err := writer.Snapshot(t.Context())
			if err != nil && !errors.Is(err, store.ErrNoTable) {
				t.Fatal(err)
			}
			if _, err := writer.Append(t.Context(), base, randomFiles(random, base)); err != nil {
				t.Fatal(err)
			}
			s, err := all.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.older != nil {
				t.Fatal("the one who follows every commit has read a checkpoint")
			}
			fresh := &Table{Bucket: b, Path: "t"}
			from, err := fresh.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, err := from.Tombstones()
			if err != nil || !maps.EqualFunc(got, s.removed, sameRemove) {
				t.Fatalf("seed %d, version %d: tombstones %v, %v; want %v", seed, s.Version, got, err, s.removed)
			}
			if (from.older != nil) != (s.Version+1 >= checkpointInterval) {
				t.Fatalf("version %d is read with a checkpoint: %t", s.Version, from.older != nil)
			}
			if writer = all; random.IntN(2) == 0 {
				writer = fresh
			}
		}
	}
}

// randomFiles adds and removes some of a few files.
func randomFiles(random *rand.Rand, base *Snapshot) Change {
	c := Change{Schema: oneColumn}
	if base == nil {
		c.Files = []Add{{Path: "first"}}
		return c
	}
	live := base.byName()
	for i := range 12 {
		name := fmt.Sprint("f", i)
		switch there := live[name] != nil; {
		case there && random.IntN(3) == 0:
			c.Removes = append(c.Removes, name)
		case !there && (random.IntN(3) == 0 || i == 0):
			c.Files = append(c.Files, Add{Path: name})
		}
	}
	if len(c.Files)+len(c.Removes) == 0 {
		c.Removes = []string{"f0"}
	}
	return c
}

func sameRemove(a, b *Remove) bool {
	return a.Path == b.Path && *a.DeletionTimestamp == *b.DeletionTimestamp && *a.Size == *b.Size
}

// A checkpoint that hides files among its tombstones is damaged. Whoever needs the tombstones learns it.
func TestTombstonesThatAreNone(t *testing.T) {
	t.Parallel()
	var body bytes.Buffer
	if err := encodeCheckpoint(&body, -1, []checkpointRow{{Protocol: &checkpointProtocol{MinReaderVersion: 1, MinWriterVersion: 2}}},
		[]checkpointRow{{Add: &checkpointAdd{Path: "x"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := laterRemoves("here", body.Bytes())(); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// Checkpoints name all files, so that those of a table of many files are further apart.
func TestCheckpointDue(t *testing.T) {
	t.Parallel()
	for files, interval := range map[int]int64{0: 10, 1: 10, 499: 10, 500: 20, 999: 20, 1000: 40, 10_000: 320, 1 << 20: 40960} {
		s := &Snapshot{Files: make([]*File, files)}
		var due []int64
		for s.Version = range 3 * interval {
			if s.checkpointDue() {
				due = append(due, s.Version)
			}
		}
		if want := []int64{interval - 1, 2*interval - 1, 3*interval - 1}; !slices.Equal(due, want) {
			t.Errorf("of %d files, checkpoints come after versions %d, want %d", files, due, want)
		}
	}
	s := &Snapshot{Files: make([]*File, 1<<20), Version: 2}
	s.MetaData.Configuration = map[string]string{"delta.checkpointInterval": "3"}
	if !s.checkpointDue() {
		t.Error("the table's own interval does not count")
	}
}

// What a table holds is not read with the tombstones, of which there may be many more.
func TestTombstonesAreReadLast(t *testing.T) {
	t.Parallel()
	rows := []checkpointRow{{Add: &checkpointAdd{Path: "a"}}}
	removes := []checkpointRow{{Remove: &checkpointRemove{Path: "b"}}, {Remove: &checkpointRemove{Path: "c"}}}
	var body bytes.Buffer
	if err := encodeCheckpoint(&body, -1, rows, removes); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[checkpointPart][]string{
		wholeCheckpoint: {"a", "b", "c"}, withoutTombstones: {"a"}, tombstones: {"b", "c"},
	} {
		var got []string
		_, err := decodeCheckpoint(body.Bytes(), part, func(a *action) error {
			if a.Add != nil {
				got = append(got, a.Add.Path)
			} else {
				got = append(got, a.Remove.Path)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("part %d has %q, %v; want %q", part, got, err, want)
		}
	}
}
