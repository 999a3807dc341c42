package metaxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// TestUnits groups rows of one increment, once side by side and once apart, with and without aggregation.
func TestUnits(t *testing.T) {
	t.Parallel()
	f, err := feature.MustGraph(feature.Spec{Key: "clip", IDColumns: ids}).Lookup("clip")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rows       string // id and number
		aggregates bool
		want       string
		left       int64
	}{
		{"a1 a2 b1", true, "a:1,2 b:1", 0},
		{"a2 a1 b1", true, "a:1,2 b:1", 0},
		{"a2 b3 a1 b1 a3", true, "a:1,2,3 b:1,3", 0},
		{"a1 a2 b1", false, "a:1 b:1", 1},
		{"b1", true, "b:1", 0},
	} {
		var rows []string
		for r := range strings.FieldsSeq(c.rows) {
			rows = append(rows, fmt.Sprintf(`{"id":%q,"n":%s,"metaxy_provenance_by_field":{"default":"1"}}`, r[:1], r[1:]))
		}
		ts := newTables(t, graph)
		inc, err := engine.Resolve(t.Context(), ts.Memory, f, engine.Options{Samples: single(recordOf(t, rows...))})
		if err != nil {
			t.Fatal(err)
		}
		j := &job{f: f, rel: relation{keys: ids, aggregates: c.aggregates, inputs: []string{"n"}}, scattered: map[engine.Status]bool{}}
		n, err := j.tally(t.Context(), inc, engine.New)
		if err != nil {
			t.Fatal(err)
		}
		var units []unit
		for u, err := range j.units(t.Context(), inc, engine.New, nil) {
			if err != nil {
				t.Fatal(err)
			}
			units = append(units, u)
		}
		b, err := j.batch(units)
		if err != nil {
			t.Fatal(err)
		}
		if got := groups(b); got != c.want || j.count.duplicates.Load() != c.left {
			t.Errorf("%s: got %s and %d left out, want %s and %d", c.rows, got, j.count.duplicates.Load(), c.want, c.left)
		}
		if c.aggregates && n != int64(len(units)) {
			t.Errorf("%s: %d samples were counted", c.rows, n)
		}
	}
}

// groups writes the samples of a batch as id:number,number.
func groups(b *Batch) string {
	var out []string
	for s := range b.samples {
		var numbers []string
		for row := b.first[s]; row < b.first[s+1]; row++ {
			if b.sampleOf(row) != s {
				return fmt.Sprintf("row %d belongs to sample %d instead of %d", row, b.sampleOf(row), s)
			}
			numbers = append(numbers, column(b.Rows, "n").ValueStr(row))
		}
		out = append(out, column(b.Rows, "id").ValueStr(b.first[s])+":"+strings.Join(numbers, ","))
	}
	return strings.Join(out, " ")
}
