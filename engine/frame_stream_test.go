package engine

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

// TestStreamAgreesWithFetch reads the parts of random increments in one pass, as far as their rows come in order, and
// by looking each row up.
func TestStreamAgreesWithFetch(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	streamed, ended := 0, 0
	for seed := range uint64(randomWorlds) {
		w := newWorld(t, seed, true)
		s := w.store(seed%4 == 3)
		for _, key := range w.keys {
			f := w.feature(key)
			if f.Root() {
				continue
			}
			inc := w.resolveWith(f, s, Options{Hashing: w.hashing, SkipComparison: seed%2 == 0})
			for _, status := range []Status{New, Stale, Orphaned} {
				p := &inc.parts[status]
				if p.count() < 2 {
					continue
				}
				want, err := p.reader.read(ctx, p.rows.slice(0, int(p.count())))
				if err != nil {
					t.Fatal(err)
				}
				pass := p.stream(ctx, 1, want)
				if pass != nil {
					streamed++
					if n, err := pass.reach(p.rows.slice(1, int(p.count()))); err != nil || n < int(p.count())-1 {
						ended++
					}
					pass.close()
				}
				got := collect(t, p.chunks(ctx, 1))
				if g, w := orderedTexts(t, got...), orderedTexts(t, want); !slices.Equal(g, w) {
					t.Errorf("seed %d: %s of %s:\n%q\nwant\n%q", seed, status, key, g, w)
				}
			}
		}
	}
	if streamed < 100 || ended < 10 {
		t.Errorf("of the parts, %d were read in one pass, %d of them not up to the end", streamed, ended)
	}
}

// orderedTexts writes every row of the batches as JSON.
func orderedTexts(t *testing.T, recs ...arrow.RecordBatch) []string {
	t.Helper()
	var out []string
	for _, rec := range recs {
		for i := range int(rec.NumRows()) {
			cells := make([]any, rec.NumCols())
			for c := range cells {
				cells[c] = rec.Column(c).GetOneForMarshal(i)
			}
			text, err := json.Marshal(cells)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(text))
		}
	}
	return out
}
