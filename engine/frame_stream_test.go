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
				first, err := p.reader.read(ctx, p.rows.slice(0, 1))
				if err != nil {
					t.Fatal(err)
				}
				if pays := p.stream(ctx, 1, first); pays != nil {
					streamed++
					pays.close()
				}
				pass, got := p.pass(ctx, p.someFiles(seed%3 == 0)), []arrow.RecordBatch{first} // also where it would not pay
				for from := 1; from < int(p.count()); {
					before := pass != nil
					rec, err := p.readChunk(ctx, p.rows.slice(from, int(p.count())), &pass)
					if err != nil {
						t.Fatal(err)
					}
					if before && pass == nil {
						ended++
					}
					got, from = append(got, rec), from+int(rec.NumRows())
				}
				pass.close()
				if g, w := orderedTexts(t, got...), orderedTexts(t, want); !slices.Equal(g, w) {
					t.Errorf("seed %d: %s of %s:\n%q\nwant\n%q", seed, status, key, g, w)
				}
			}
		}
	}
	if streamed < 100 || ended < 10 {
		t.Errorf("one pass would pay for %d parts, and ended early for %d", streamed, ended)
	}
}

// someFiles are the files that have rows of the part, or nil for all.
func (p *part) someFiles(all bool) [][]int {
	out := make([][]int, len(p.reader.sources))
	for s := range out {
		if files, _ := p.filesOf(s, 0); !all {
			out[s] = files
		}
	}
	return out
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
