package engine

import (
	"bytes"
	"context"
	"fmt"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// detectRows is how many rows DetectHashing looks at.
const detectRows = 100

// DetectHashing finds out how the rows of a table that records no hashing are versioned, by recomputing the
// provenance of some of them. It reports false when the rows do not tell: there are none, they disagree, or several
// algorithms fit.
func DetectHashing(ctx context.Context, snap store.Snapshot, f *feature.Feature) (Hashing, bool, error) {
	d := detector{feature: f, fits: Hashes(), length: -1}
	columns := []string{feature.ColProvenanceByField, feature.ColProvenance, feature.ColFeatureVersion}
	for _, name := range columns {
		if _, ok := store.Column(snap.Schema(), name); !ok {
			return Hashing{}, false, nil
		}
	}
	for b, err := range snap.Scan(ctx, store.Query{Columns: columns}) {
		if err == nil {
			err = d.look(b)
		}
		if err != nil {
			return Hashing{}, false, fmt.Errorf("detect the hashing of %q: %w", f.Key(), err)
		}
		if len(d.fits) == 0 || d.rows >= detectRows {
			break
		}
	}
	if d.rows == 0 || len(d.fits) != 1 {
		return Hashing{}, false, nil
	}
	return d.hashing(d.fits[0]), true, nil
}

// A detector keeps the algorithms that fit every row so far.
type detector struct {
	feature *feature.Feature
	fits    []Hash
	length  int // of the rows' feature versions; -1 before the first one
	rows    int
}

func (d *detector) hashing(h Hash) Hashing {
	if d.length >= fullLength {
		return Hashing{Algorithm: h}
	}
	return Hashing{Algorithm: h, TruncationLength: d.length}
}

// look checks the rows of a batch that have both a version and all that it was computed from.
func (d *detector) look(b store.Batch) error {
	stored, err := textColumns(b.RecordBatch, "", nil, []string{feature.ColProvenance, feature.ColFeatureVersion})
	if err != nil {
		return err
	}
	fields := make([]cells, 0, len(specFields(d.feature)))
	for _, f := range orderedMembers(d.feature) {
		c, err := memberCells(columnOf(b.RecordBatch, feature.ColProvenanceByField), f)
		if err != nil {
			return err
		}
		fields = append(fields, c)
	}
	var input []byte
	for i := 0; i < int(b.NumRows()) && d.rows < detectRows; i++ {
		ok := !stored[0].isNull(i) && !stored[1].isNull(i)
		if input, ok = joinTexts(input[:0], fields, i, ok); ok {
			d.test(input, stored[0].appendText(nil, i), len(stored[1].appendText(nil, i)))
		}
	}
	return nil
}

// joinTexts joins the texts of a row; it reports false if one of them is missing.
func joinTexts(dst []byte, texts []cells, i int, ok bool) ([]byte, bool) {
	for k := range texts {
		if k > 0 {
			dst = append(dst, '|')
		}
		ok = ok && !texts[k].isNull(i)
		if ok {
			dst = texts[k].appendText(dst, i)
		}
	}
	return dst, ok
}

// test drops the algorithms that do not give the stored version. Feature versions have the length that all hashes of
// a store are cut to.
func (d *detector) test(input, stored []byte, length int) {
	if d.length < 0 {
		d.length = length
	}
	var fits []Hash
	for _, h := range d.fits {
		if d.length == length && bytes.Equal(d.hashing(h).Append(nil, input), stored) {
			fits = append(fits, h)
		}
	}
	d.fits = fits
	d.rows++
}

// orderedMembers are the members of a by-field column as the sample's version hashes them.
func orderedMembers(f *feature.Feature) []string {
	var fields []fieldPlan
	for i, field := range specFields(f) {
		fields = append(fields, givenField(field, i))
	}
	plan := orderFields(fields)
	out := make([]string, len(plan.fields))
	for i, field := range plan.fields {
		out[i] = field.member
	}
	return out
}
