package s3parquet_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

var byID = store.Optimization{SortBy: []string{"id"}}

// twoColumns returns a batch with an id and a number for each row.
func twoColumns(t *testing.T, rows ...[2]any) arrow.RecordBatch {
	t.Helper()
	id, n := array.NewStringBuilder(memory.DefaultAllocator), array.NewInt64Builder(memory.DefaultAllocator)
	for _, row := range rows {
		id.Append(row[0].(string))
		n.Append(int64(row[1].(int)))
	}
	return array.NewRecordBatch(arrow.NewSchema([]arrow.Field{{Name: "id", Type: id.Type()}, {Name: "n", Type: n.Type()}}, nil),
		[]arrow.Array{id.NewArray(), n.NewArray()}, int64(len(rows)))
}

// optimize rewrites table f.
func optimize(t *testing.T, s *s3parquet.Store, o store.Optimization) store.Optimized {
	t.Helper()
	done, err := s.Optimize(t.Context(), "f", o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// What is there before an optimization is there after it, in the order of the ids; rows with one id keep their order, later
// rows come after them, marks and older versions stay, and there is nothing left to optimize.
func TestOptimize(t *testing.T) {
	t.Parallel()
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, s3parquet.Options{})
			for i := range 25 {
				w := write(twoColumns(t, [2]any{fmt.Sprint("id", i%4), i}, [2]any{"same", i}))
				w.Marks = map[string]int64{"m": int64(i)}
				appendRows(t, s, "f", w)
			}
			before := snapshot(t, s, "f")
			rows := scanned(t, before, store.Query{})
			done := optimize(t, s, byID)
			if done.Removed != 25 || done.Added != 1 || done.Rows != 50 || done.Version != 25 || done.BytesAdded >= done.BytesRemoved {
				t.Errorf("optimized: %+v", done)
			}
			after := snapshot(t, s, "f")
			sorted := slices.Clone(rows)
			slices.SortStableFunc(sorted, func(a, b string) int { return strings.Compare(idOf(t, a), idOf(t, b)) })
			if got := scanned(t, after, store.Query{}); !slices.Equal(got, sorted) {
				t.Errorf("rows are %q, want %q", got, sorted)
			}
			if got := scanned(t, before, store.Query{}); !slices.Equal(got, rows) {
				t.Errorf("a reader of the version before sees %q", got)
			}
			if !maps.Equal(after.Marks(), map[string]int64{"m": 24}) || after.LastRemoval() != -1 {
				t.Errorf("marks %v, last removal %d", after.Marks(), after.LastRemoval())
			}
			if again := optimize(t, s, byID); again != (store.Optimized{Version: 25}) {
				t.Errorf("optimized again: %+v", again)
			}
			appendRows(t, s, "f", write(twoColumns(t, [2]any{"a", 99})))
			if got := scanned(t, snapshot(t, s, "f"), store.Query{}); got[len(got)-1] != `["a",99]` {
				t.Errorf("a later row stands at %q", got)
			}
		})
	}
}

func idOf(t *testing.T, row string) string {
	t.Helper()
	var values []any
	if err := json.Unmarshal([]byte(row), &values); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(values[0])
}

// The commit of an optimization is no change of data for other readers of the log, and sets the marks that it is asked for.
func TestOptimizationInTheLog(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s := s3parquet.New(dir, s3parquet.Options{})
	appendRows(t, s, "f", write(ids("b")))
	w := write(ids("a"))
	w.Marks = map[string]int64{"settled": 1}
	appendRows(t, s, "f", w)
	o := byID
	o.Marks = func(from store.Snapshot, to int64) map[string]int64 {
		return map[string]int64{"settled": from.Marks()["settled"] - from.Version() + to}
	}
	optimize(t, s, o)
	if marks := snapshot(t, s, "f").Marks(); marks["settled"] != 2 {
		t.Errorf("marks %v", marks)
	}
	r, err := dir.Get(t.Context(), "f.delta/_delta_log/00000000000000000002.json", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	adds, removes := 0, 0
	for dec := json.NewDecoder(r); dec.More(); {
		var a struct {
			Add, Remove *struct {
				DataChange bool              `json:"dataChange"`
				Tags       map[string]string `json:"tags"`
				Stats      string            `json:"stats"`
			}
			CommitInfo *struct{ Operation string }
		}
		if err := dec.Decode(&a); err != nil {
			t.Fatal(err)
		}
		switch {
		case a.Add != nil:
			adds++
			if a.Add.DataChange || a.Add.Tags["metaxy.sorted_by"] != `["id"]` || !strings.Contains(a.Add.Stats, `"minValues":{"id":"a"}`) {
				t.Errorf("add %+v", a.Add)
			}
		case a.Remove != nil:
			removes++
			if a.Remove.DataChange {
				t.Errorf("remove %+v", a.Remove)
			}
		case a.CommitInfo != nil && a.CommitInfo.Operation != "OPTIMIZE":
			t.Errorf("the operation is %q", a.CommitInfo.Operation)
		}
	}
	if adds != 1 || removes != 2 {
		t.Errorf("%d files added, %d removed", adds, removes)
	}
}

// Random histories of appends and optimizations, with files so small and memory so little that every path is taken: the
// rows of each id stay in their order, and none is lost, for a reader that replays the log, one that begins at a checkpoint,
// and the writer itself. Of each older version it is known which files may have rows that it has not.
func TestOptimizeKeepsTheOrderOfEachID(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			dir := openDir(t)
			o := s3parquet.Options{TargetFileSize: 2000 + random.Int64N(4000), SortMemory: 1 + random.Int64N(3000)}
			s := s3parquet.New(dir, o)
			want, n, moved := map[string][]string{}, 0, 0
			older := map[int]store.Snapshot{} // by how many rows there were
			for range 40 {
				if n > 0 {
					older[n] = snapshot(t, s, "f")
				}
				if random.IntN(5) == 0 && n > 0 {
					by := store.Optimization{SortBy: []string{"id"}, Least: random.IntN(4)}
					if random.IntN(4) == 0 {
						by.SortBy = []string{"nowhere"} // the files stay unsorted
					}
					moved += optimize(t, s, by).Removed
					continue
				}
				var rows [][2]any
				for range 1 + random.IntN(1+random.IntN(200)) {
					id := fmt.Sprint("id", random.IntN(30))
					rows = append(rows, [2]any{id, n})
					want[id] = append(want[id], fmt.Sprintf("[%q,%d]", id, n))
					n++
				}
				w := write(twoColumns(t, rows...))
				if seed%3 > 0 { // files that are merged as they are, or, where their tags are wrong, after all not
					if w.SortedBy = []string{"id"}; seed%3 == 1 || random.IntN(9) > 0 {
						slices.SortStableFunc(rows, func(a, b [2]any) int { return strings.Compare(a[0].(string), b[0].(string)) })
						w.Rows = write(twoColumns(t, rows...)).Rows
					}
				}
				appendRows(t, s, "f", w)
			}
			if moved == 0 {
				t.Fatal("nothing was optimized")
			}
			for name, reader := range map[string]*s3parquet.Store{"writer": s, "new reader": s3parquet.New(dir, o)} {
				got := map[string][]string{}
				for _, row := range scanned(t, snapshot(t, reader, "f"), store.Query{}) {
					got[idOf(t, row)] = append(got[idOf(t, row)], row)
				}
				if !maps.EqualFunc(got, want, slices.Equal) {
					t.Errorf("%s: the rows differ: got %v, want %v", name, got, want)
				}
				checkSince(t, snapshot(t, reader, "f"), older)
			}
		})
	}
}

// checkSince looks whether a snapshot knows of older ones in which files the rows are that these have not. Rows are numbered,
// and the older ones are given by how many they had.
func checkSince(t *testing.T, now store.Snapshot, older map[int]store.Snapshot) {
	t.Helper()
	for n, then := range older {
		added, ok := now.Since(t.Context(), then.State(), then.Version())
		if !ok {
			t.Errorf("since version %d, it is not told what is new", then.Version())
		}
		old := []int{}
		for file := range now.State().Files {
			if !slices.Contains(added, file) {
				old = append(old, file)
			}
		}
		for _, row := range scanned(t, now, store.Query{Files: old}) {
			var columns []any
			if err := json.Unmarshal([]byte(row), &columns); err != nil {
				t.Fatal(err)
			}
			if columns[1].(float64) >= float64(n) {
				t.Errorf("since version %d, row %s is new, but files %v are said to be", then.Version(), row, added)
			}
		}
	}
}

// Two optimizations and several writers at once: no row is lost or doubled, and no reader sees anything but all rows that
// were committed before it looked.
func TestOptimizeBesideWriters(t *testing.T) {
	t.Parallel()
	for name, open := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, s3parquet.Options{CommitRetries: 1000})
			const writers, each = 3, 15
			appendRows(t, s, "f", write(ids("first")))
			var group, readers sync.WaitGroup
			done := make(chan struct{})
			for w := range writers {
				group.Go(func() {
					for i := range each {
						appendRows(t, s, "f", write(ids(fmt.Sprintf("w%d-%02d", w, i))))
					}
				})
			}
			for range 2 {
				readers.Go(func() {
					for last := 0; ; {
						if _, err := s.Optimize(t.Context(), "f", byID); err != nil {
							t.Errorf("Optimize: %v", err)
							return
						}
						rows := scanned(t, snapshot(t, s, "f"), store.Query{})
						if len(rows) < last {
							t.Errorf("a reader sees %d rows after %d", len(rows), last)
						}
						last = len(rows)
						select {
						case <-done:
							return
						default:
						}
					}
				})
			}
			group.Wait()
			close(done)
			readers.Wait()
			rows := scanned(t, snapshot(t, s, "f"), store.Query{})
			slices.Sort(rows)
			if len(slices.Compact(rows)) != 1+writers*each {
				t.Errorf("%d different rows, want %d", len(slices.Compact(rows)), 1+writers*each)
			}
		})
	}
}

// Files that follow each other, as a run leaves them, are merged without being sorted again: in little memory, and without
// temporary files.
func TestOptimizeOfSortedFilesNeedsNoRoom(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()+"/nowhere")
	s := openStore(t, t.TempDir(), s3parquet.Options{SortMemory: 1})
	want := []string{}
	for n := range 20 {
		w := write(twoColumns(t, [2]any{fmt.Sprintf("%02d-a", n), n}, [2]any{fmt.Sprintf("%02d-b", n), n}))
		w.SortedBy = byID.SortBy
		appendRows(t, s, "f", w)
		want = append(want, fmt.Sprintf(`["%02d-a",%d]`, n, n), fmt.Sprintf(`["%02d-b",%d]`, n, n))
	}
	if done := optimize(t, s, byID); done.Removed != 20 || done.Added != 1 {
		t.Fatalf("%d files became %d", done.Removed, done.Added)
	}
	if got := scanned(t, snapshot(t, s, "f"), store.Query{}); !slices.Equal(got, want) {
		t.Errorf("the rows are %v, want %v", got, want)
	}
	appendRows(t, s, "f", write(twoColumns(t, [2]any{"00-a", 7})))
	if _, err := s.Optimize(t.Context(), "f", byID); err == nil {
		t.Error("rows in another order were sorted without a file, in a byte of memory")
	}
}

// Files whose rows are in another order than their tags say are sorted all the same, and the attempt leaves nothing behind.
func TestOptimizeOfWrongTags(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][][][2]any{
		"in a file":           {{{"b", 1}, {"a", 2}}, {{"c", 3}, {"c", 4}}},
		"of the second id":    {{{"a", 2}, {"b", 2}}, {{"b", 1}, {"c", 1}}},
		"in the second batch": {nearlySorted(9000), {{"z", 2}, {"z", 1}}},
	} {
		location := t.TempDir()
		s := openStore(t, location, s3parquet.Options{})
		by := store.Optimization{SortBy: []string{"id", "n"}}
		var want []string
		for _, rows := range files {
			w := write(twoColumns(t, rows...))
			w.SortedBy = by.SortBy
			appendRows(t, s, "f", w)
		}
		want = scanned(t, snapshot(t, s, "f"), store.Query{})
		slices.Sort(want)
		if done := optimize(t, s, by); done.Added != 1 {
			t.Fatalf("%s: %d files were added", name, done.Added)
		}
		if got := scanned(t, snapshot(t, s, "f"), store.Query{}); !slices.Equal(got, want) {
			t.Errorf("%s: the rows are not in order", name)
		}
		data := slices.DeleteFunc(objects(t, location), func(n string) bool { return !strings.HasSuffix(n, ".parquet") || strings.Contains(n, "_delta_log") })
		if len(data) != len(files)+1 {
			t.Errorf("%s: the data files are %v", name, data)
		}
	}
}

// nearlySorted are rows in order, but for the last two.
func nearlySorted(n int) (rows [][2]any) {
	for i := range n {
		rows = append(rows, [2]any{fmt.Sprintf("%06d", i), 1_000_000})
	}
	rows[n-1], rows[n-2] = rows[n-2], rows[n-1]
	return rows
}
