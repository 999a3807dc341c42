package metaxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// An object is one result row in JSON, which gets its column types when it is stored.
type object = json.RawMessage

// A finished sample is one whose rows are computed and wait to be committed.
type finished struct {
	sample
	result  arrow.RecordBatch // what the processor returned for the sample's batch
	rows    []int             // the sample's rows in result
	objects []object          // the sample's rows, if the processor speaks JSON
}

// size is the number of rows to commit.
func (f finished) size() int64 { return int64(len(f.rows) + len(f.objects)) }

var (
	errNoRow    = errors.New("the processor returned no row for the sample, and did not mark it as failed")
	errSameID   = errors.New("the processor returned two rows with the same id, of which only one would be seen")
	errManyRows = errors.New("the processor returned more than one row for the sample")
)

// match sorts the rows of an answer by sample. A sample without a row is failed, unless the feature expands its parent;
// a row that belongs to no sample is an error, since then no other row can be trusted either.
func (r relation) match(b *Batch, a answer) ([]finished, error) {
	rows := make([][]int, len(b.samples))
	if a.rows != nil {
		of, err := r.owners(b, a)
		if err != nil {
			return nil, err
		}
		group(of, rows)
	}
	failed := b.failures()
	out := make([]finished, 0, len(b.samples))
	for s := range b.samples {
		f := finished{sample: b.samples[s], result: a.rows, rows: rows[s], objects: a.objects[s]}
		switch n := f.size(); {
		case failed[s] != nil, slices.Contains(a.back, s):
		case n == 0 && !r.expands:
			b.fail(s, errNoRow)
		case n > 1 && !r.expands:
			b.fail(s, errManyRows)
		default:
			out = append(out, f)
		}
	}
	return out, nil
}

// group lists the rows of each sample.
func group(of []int, rows [][]int) {
	ends := make([]int, len(rows)+1)
	for _, s := range of {
		ends[s+1]++
	}
	for s := range rows {
		ends[s+1] += ends[s]
	}
	all := make([]int, len(of))
	for s := range rows {
		rows[s] = all[ends[s]:ends[s]:ends[s+1]]
	}
	for row, s := range of {
		rows[s] = append(rows[s], row)
	}
}

// passedOn reports whether rows have the very id columns of the batch, so that each belongs to the sample of the row with its
// number.
func (r relation) passedOn(b *Batch, rows arrow.RecordBatch) bool {
	return !slices.ContainsFunc(r.keys, func(name string) bool {
		sent := column(b.Rows, name)
		return sent == nil || !store.Same(sent, column(rows, name))
	})
}

// owners returns the sample of each row of an answer.
func (r relation) owners(b *Batch, a answer) ([]int, error) {
	if a.of != nil {
		return a.of, nil
	}
	var byKey map[string]int // not needed while rows are in the order of the samples
	keys, err := samplekey.New(a.rows, r.keys)
	if err != nil {
		return nil, fmt.Errorf("the processor's rows: %w", err)
	}
	of := make([]int, a.rows.NumRows())
	if r.passedOn(b, a.rows) {
		for s := range b.samples {
			for row := b.first[s]; row < b.first[s+1]; row++ {
				of[row] = s
			}
		}
		return of, nil
	}
	for row := range of {
		key, ok := keys.Bytes(row)
		if !ok {
			return nil, fmt.Errorf("row %d of the processor has no value in the id columns %q", row, r.keys)
		}
		if byKey == nil {
			if row < len(b.samples) && b.samples[row].key == string(key) {
				of[row] = row
				continue
			}
			byKey = b.byKey()
		}
		if of[row], ok = byKey[string(key)]; !ok {
			return nil, fmt.Errorf("the processor returned a row for %s, which is not a sample of its batch", shorten(string(key), 200))
		}
	}
	return of, nil
}
