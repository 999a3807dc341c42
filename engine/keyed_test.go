package engine

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// tiny is so little memory that nearly everything goes to the file.
func tiny(k *keyed) partitioning {
	return partitioning{count: 2, words: 64, chunks: 0, writers: k.workers, bytes: 1}
}

func (w *world) plan(f *feature.Feature, s store.Store, o Options) *plan {
	w.t.Helper()
	p, err := prepare(context.Background(), s, f, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// The keyed way decides as the plain way does, in memory and through the file.
func TestKeyedAgreesWithPlain(t *testing.T) {
	t.Parallel()
	keyedFeatures, byNulls, incomplete, spilled, seen := 0, 0, int64(0), int64(0), map[string]int{}
	for seed := range uint64(randomWorlds) {
		w := newWorld(t, seed, true)
		s := w.store(false)
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() {
				continue
			}
			o := Options{Hashing: w.hashing}
			if seed%2 == 1 {
				o = w.randomOptions(f, seen)
			}
			o.SkipComparison = o.SkipComparison || seed%3 == 0
			p := w.plan(f, s, o)
			k := newKeyed(p)
			if k == nil {
				continue
			}
			keyedFeatures++
			if k.nullsDecide {
				byNulls++
			}
			got, err := k.resolve(context.Background(), tiny(k))
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, key, err)
			}
			spilled += k.partitions.spill.used.Load()
			want, err := w.plan(f, s, o).resolve(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range []Status{New, Stale, Orphaned} {
				if g, w := incrementTexts(t, got, status), incrementTexts(t, want, status); !slices.Equal(g, w) {
					t.Errorf("seed %d: %s of %s:\n%q\nwant\n%q", seed, status, key, g, w)
				}
			}
			if k.nullsDecide && !k.single() {
				incomplete += want.Unresolvable()
			}
			if got.Unresolvable() != want.Unresolvable() {
				t.Errorf("seed %d: %s has %d unresolvable samples, want %d", seed, key, got.Unresolvable(), want.Unresolvable())
			}
		}
	}
	if keyedFeatures < 200 || byNulls < 20 || incomplete == 0 || spilled == 0 {
		t.Errorf("the worlds have too little of what they should test: %d keyed features, %d without a table, with %d incomplete samples; "+
			"%d bytes spilled", keyedFeatures, byNulls, incomplete, spilled)
	}
}

// Of a resolve through the file nothing stays behind.
func TestSpillFileIsGone(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	file := &spillFile{}
	if _, err := file.write([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2)
	if err := file.read(got, 1); err != nil || string(got) != "23" {
		t.Fatalf("read back %q, %v", got, err)
	}
	file.close()
	left, err := os.ReadDir(folder)
	if err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// A disk without room is told before it is full, with what to do.
func TestSpillNeedsRoom(t *testing.T) {
	t.Parallel()
	if _, ok := freeDisk(os.TempDir()); !ok {
		t.Skip("the free room is not known here")
	}
	file := &spillFile{expected: 1 << 60}
	_, err := file.write([]byte("1"))
	if !errors.Is(err, ErrDisk) || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("got %v", err)
	}
	if file.file != nil {
		t.Error("a file was made all the same")
	}
}

// Versions that fit no chunk are resolved the plain way.
func TestLongVersionsAreResolvedThePlainWay(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*maxChunk)
	s := newScene(t, xy("a"), xy("b"), xy("c", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b", Select: []string{}}))
	s.root("a", "1 "+long+" f", "2 x f")
	s.root("b", "1 y f", "2 y f")
	s.expect("c", "new: 1 2")
	s.run("c")
	s.root("b", "1 z f")
	s.expect("c", "stale: 1")
}

func TestTimesAreNumberedUpToABound(t *testing.T) {
	t.Parallel()
	table := &keyedTable{spans: []rowSpan{{0, store.MakeRowRef(2, 0)}, {5, store.MakeRowRef(1, 0)}}}
	index := &table.times
	for i := range int64(1 << timeBits) {
		if _, err := index.number(-i); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := index.number(1); !errors.Is(err, errNotKeyed) {
		t.Errorf("one more: %v", err)
	}
	newest, err := index.number(0)
	if err != nil {
		t.Fatal(err)
	}
	older, _ := index.number(-7)
	if !table.newer(makePlace(1, 3, newest), makePlace(1, 4, older)) || !table.newer(makePlace(1, 4, older), makePlace(1, 3, older)) ||
		!table.newer(makePlace(1, 4, older), makePlace(1, 5, older)) {
		t.Error("the newest row is not the one with the latest time, then the last one")
	}
}

// Marks give back what was marked, in any part.
func TestMarkedRows(t *testing.T) {
	t.Parallel()
	table := &keyedTable{spans: []rowSpan{{0, store.MakeRowRef(2, 10)}, {70_000, store.MakeRowRef(3, 0)}}}
	marks := newRowMarks(100_000)
	var want []store.RowRef
	for i := uint64(1); i < 100_000; i += 1 + i%977 {
		marks.set(i)
		want = append(want, table.ref(i))
	}
	rows := marks.rows(table)
	if rows.count() != len(want) {
		t.Fatalf("%d rows, want %d", rows.count(), len(want))
	}
	for from := 0; from <= len(want); from += 7 {
		for _, n := range []int{0, 1, 63, len(want) - from} {
			to := min(from+n, len(want))
			if got := rows.slice(from, to).refs[0]; !slices.Equal(got, want[from:to]) {
				t.Fatalf("rows %d to %d are %v, want %v", from, to, got, want[from:to])
			}
		}
	}
}

// A sureReader has tables whose statistics say that there are no nulls, whatever is in them.
type sureReader struct{ store.Reader }

type sureSnapshot struct{ store.Snapshot }

func (r sureReader) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	snap, err := r.Reader.Snapshot(ctx, key)
	if err != nil {
		return nil, err
	}
	return sureSnapshot{snap}, nil
}

func (sureSnapshot) NoNulls(string, []string) bool { return true }

// A sample that has no version, because a table's statistics are wrong, is refused and not computed.
func TestWrongNullCounts(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b", feature.Dep{Feature: "a"}))
	s.root("a", "1 p -")
	if inc := s.resolve("b"); inc.Unresolvable() != 1 || inc.Count(New) != 0 {
		t.Fatalf("%d samples are unresolvable, %d new", inc.Unresolvable(), inc.Count(New))
	}
	inc, err := Resolve(t.Context(), sureReader{s.store}, s.feature("b"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range inc.Batches(t.Context(), New, nil, 0) {
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("the rows gave %v", err)
		}
		return
	}
	t.Error("there are no rows")
}

// A brokenReader cannot read one table, and comes to no end with the others.
type brokenReader struct {
	store.Reader
	broken feature.Key
}

type endlessSnapshot struct {
	store.Snapshot
	broken bool
}

var errBroken = errors.New("broken")

func (r brokenReader) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	snap, err := r.Reader.Snapshot(ctx, key)
	if err != nil {
		return nil, err
	}
	return endlessSnapshot{snap, key == r.broken}, nil
}

func (s endlessSnapshot) Scan(ctx context.Context, q store.Query) iter.Seq2[store.Batch, error] {
	return func(yield func(store.Batch, error) bool) {
		if s.broken {
			yield(store.Batch{}, errBroken)
			return
		}
		for ctx.Err() == nil {
			for b, err := range s.Snapshot.Scan(ctx, q) {
				if !yield(b, err) {
					return
				}
			}
		}
		yield(store.Batch{}, ctx.Err())
	}
}

// A table that cannot be read is told at once, however much there is of the others.
func TestBrokenTableEndsTheReading(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"), xy("b"), xy("c", feature.Dep{Feature: "a"}, feature.Dep{Feature: "b", Select: []string{}}))
	s.root("a", "1 a f")
	s.root("b", "1 b f")
	for _, broken := range []feature.Key{"a", "b"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := Resolve(ctx, brokenReader{s.store, broken}, s.feature("c"), Options{})
		if !errors.Is(err, errBroken) || ctx.Err() != nil {
			t.Errorf("with a broken table %s: %v, and the context says %v", broken, err, ctx.Err())
		}
		cancel()
	}
}
