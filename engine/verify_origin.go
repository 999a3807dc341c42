package engine

import (
	"bytes"
	"context"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A verifier looks for the origins of stored samples. Its explainer's slices have an element for each sample that is not
// what the parents' present rows make it.
type verifier struct {
	explainer

	out   *Verification
	found func(Finding) error
}

// pair finds for each current sample the rows of the parents that it stands for, and keeps those samples whose provenance
// does not come from these.
func (v *verifier) pair(expected *tuples) {
	d := differ{plan: v.plan, expected: expected, tables: v.tables, target: v.target}
	key, stored := tupleKey{tables: v.tables, columns: v.plan.compare}, v.target.lookupBy(v.plan.targetCompare)
	versions := newVersioner(&v.plan.versions, v.plan.hashing, v.tables)
	derived := make([]bool, len(v.target.rows))
	tuple := make([][]uint32, len(v.target.rows))
	for i := range expected.len() {
		entry, found := key.find(expected.at(i), stored)
		if !found {
			continue
		}
		version, complete := versions.compute(expected.at(i))
		for ; found; entry, found = stored.following(entry) {
			have, known := d.stored(entry)
			derived[entry] = derived[entry] || complete && known && bytes.Equal(have, version)
			if tuple[entry] == nil {
				tuple[entry] = slices.Clone(expected.at(i))
			}
		}
	}
	v.asked = &table{}
	for _, c := range v.target.chunks {
		c.keys = pickColumns(c.keys, v.plan.targetCompare)
		v.asked.chunks = append(v.asked.chunks, c)
	}
	for entry, row := range v.target.rows {
		switch {
		case !row.live():
		case derived[entry]:
			v.out.Derived++
		case tuple[entry] == nil:
			v.out.Unknown++ // a parent has no such row any more
		default:
			v.tuples, v.entries = append(v.tuples, tuple[entry]), append(v.entries, uint32(entry))
			v.asked.rows = append(v.asked.rows, row)
		}
	}
}

// The outcomes for one sample.
type origin int

const (
	isDerived origin = iota
	isUnknown
	isFound
)

// derive tries to make the provenance of the samples that were kept from older rows of the parents.
func (v *verifier) derive(ctx context.Context) error {
	if len(v.tuples) == 0 {
		return nil
	}
	if err := v.readHistory(ctx); err != nil {
		return err
	}
	const chunk = 8192
	for from := 0; from < len(v.tuples); from += chunk {
		to := min(from+chunk, len(v.tuples))
		stored, err := v.readFields(ctx, v.entries[from:to])
		if err != nil {
			return err
		}
		for i := from; i < to; i++ {
			outcome := isDerived
			for k := range v.plan.versions.fields {
				o, err := v.field(uint32(i), &v.plan.versions.fields[k], k, stored[k].text(i-from))
				if err != nil {
					return err
				}
				outcome = max(outcome, o)
			}
			switch outcome {
			case isDerived:
				v.out.Derived++
			case isUnknown:
				v.out.Unknown++
			case isFound:
			}
		}
	}
	return nil
}

// readFields reads the stored provenances of entries of the target, field by field.
func (v *verifier) readFields(ctx context.Context, entries []uint32) ([]versionTexts, error) {
	rows := make([]store.RowRef, len(entries))
	for i, e := range entries {
		rows[i] = v.target.ref(e)
	}
	rec, err := v.plan.target.snap.Fetch(ctx, rows, []string{feature.ColProvenanceByField})
	if err != nil {
		return nil, err
	}
	var out []versionTexts
	for _, f := range v.plan.versions.fields {
		c, err := memberCells(rec.Column(0), f.member)
		if err != nil {
			return nil, err
		}
		out = append(out, versionTexts{c})
	}
	return out, nil
}

// field decides about one field of a sample.
func (v *verifier) field(i uint32, f *fieldPlan, k int, stored string) (origin, error) {
	if stored == "" {
		return isUnknown, nil
	}
	if v.reproduce(i, f, stored) != nil {
		return isDerived, nil
	}
	combinations := 1
	for _, in := range f.inputs {
		s := &v.plan.sources[in.source].scan
		combinations *= 1 + len(v.pastOf[in.source][i])
		if s.snap == nil || s.aggregation != nil || s.snap.LastRemoval() >= 0 || combinations > maxCombinations {
			return isUnknown, nil
		}
	}
	versions := newVersioner(&v.plan.versions, v.plan.hashing, v.tables)
	versions.compute(v.tuples[i])
	expected, _ := versions.field(k)
	column := feature.ColProvenanceByField + "." + f.member
	return isFound, v.found(Finding{v.target.ref(v.entries[i]), column, stored, string(expected)})
}
