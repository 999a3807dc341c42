package metaxy

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// TestOwnersOfPassedOnIDs: rows that have the batch's own id columns belong to the samples that a look at each id would tell,
// also where samples have several rows. Other rows of these columns are looked at.
func TestOwnersOfPassedOnIDs(t *testing.T) {
	t.Parallel()
	rel := relation{keys: []string{"id", "n"}}
	all := recordOf(t, `{"id":"z","n":0}`, `{"id":"b","n":1}`, `{"id":"b","n":1}`, `{"id":"a","n":1}`, `{"id":"b","n":2}`, `{"id":"b","n":2}`)
	b := &Batch{Rows: all.NewSlice(1, 6), keys: rel.keys, first: []int{0, 2, 3, 5},
		samples: []sample{{key: `"b",1`}, {key: `"a",1`}, {key: `"b",2`}}}
	copied := func(rec arrow.RecordBatch) arrow.RecordBatch {
		var out sheet
		for i, f := range rec.Schema().Fields() {
			c, err := array.Concatenate([]arrow.Array{rec.Column(i), array.NewSlice(rec.Column(i), 0, 0)}, memory.DefaultAllocator)
			if err != nil {
				t.Fatal(err)
			}
			out.add(f.Name, c)
		}
		return out.record(rec.NumRows())
	}
	for name, c := range map[string]struct {
		rows   arrow.RecordBatch
		passed bool
		want   []int
	}{
		"passed on":        {b.Rows, true, []int{0, 0, 1, 2, 2}},
		"in another order": {withColumns(b.Rows, []string{"n", "id"}), true, []int{0, 0, 1, 2, 2}},
		"copied":           {copied(b.Rows), false, []int{0, 0, 1, 2, 2}},
		"other rows":       {all.NewSlice(2, 6), false, []int{0, 1, 2, 2}},
		"fewer rows":       {b.Rows.NewSlice(0, 3), false, []int{0, 0, 1}},
	} {
		if got := rel.passedOn(b, c.rows); got != c.passed {
			t.Errorf("%s: passed on is %t", name, got)
		}
		if of, err := rel.owners(b, answer{rows: c.rows}); err != nil || !slices.Equal(of, c.want) {
			t.Errorf("%s: owners %v, want %v, %v", name, of, c.want, err)
		}
	}
}
