package metaxy

import (
	"cmp"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// united makes the rows of all samples that can be rows of one table. Each fits by itself, but together they may not,
// or no more, because another writer has given a column its type meanwhile. Then the table and the majority decide,
// and the others are refused; one strange result must not cost all the work beside it. The result is nil without rows.
func (m *rowMaker) united(fs []finished, table *arrow.Schema) (arrow.RecordBatch, []finished, []failedSample) {
	rec, err := m.makeFor(fs, table)
	if err == nil && m.rel.expands && rec != nil {
		return m.distinct(rec, fs, table)
	}
	if err == nil {
		return rec, fs, nil
	}
	if len(fs) == 1 {
		return nil, nil, refuse(fs, err)
	}
	groups, refused := m.grouped(fs, table)
	var kept []finished
	rec = nil
	for _, g := range groups {
		more, err := m.makeFor(slices.Concat(kept, g), table)
		if err == nil {
			rec, kept = more, append(kept, g...)
			continue
		}
		refused = append(refused, refuse(g, err)...)
	}
	if m.rel.expands && rec != nil {
		again, left, more := m.distinct(rec, kept, table)
		return again, left, append(refused, more...)
	}
	return rec, kept, refused
}

// distinct makes the rows again without the samples whose ids are not their own.
func (m *rowMaker) distinct(rec arrow.RecordBatch, fs []finished, table *arrow.Schema) (arrow.RecordBatch, []finished, []failedSample) {
	kept, refused, err := m.rel.distinct(m.f, fs, rec)
	if err == nil && refused == nil {
		return rec, fs, nil
	}
	if err == nil {
		rec, err = m.makeFor(kept, table)
	}
	if err != nil { // which the same samples did not have before
		return nil, nil, refuse(fs, err)
	}
	return rec, kept, refused
}

func refuse(fs []finished, err error) []failedSample {
	out := make([]failedSample, len(fs))
	for i, f := range fs {
		out[i] = failedSample{f.sample, err}
	}
	return out
}

// grouped sorts samples by the columns of their rows, the most frequent ones first, and refuses those that do not even
// fit by themselves.
func (m *rowMaker) grouped(fs []finished, table *arrow.Schema) (groups [][]finished, refused []failedSample) {
	at := map[string]int{}
	for _, f := range fs {
		rec, err := m.makeFor([]finished{f}, table)
		if err != nil {
			refused = append(refused, failedSample{f.sample, err})
			continue
		}
		columns := ""
		if rec != nil {
			columns = rec.Schema().String()
		}
		i, ok := at[columns]
		if !ok {
			i = len(groups)
			at[columns] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], f)
	}
	slices.SortStableFunc(groups, func(a, b []finished) int { return cmp.Compare(len(b), len(a)) })
	return groups, refused
}

// makeFor is make with a look at whether the rows fit the table.
func (m *rowMaker) makeFor(fs []finished, table *arrow.Schema) (arrow.RecordBatch, error) {
	rec, err := m.make(fs, table)
	if err != nil || rec == nil || table == nil {
		return rec, err
	}
	stored, err := store.StoredSchema(rec.Schema())
	if err == nil {
		_, err = store.MergeSchema(table, stored)
	}
	if err != nil {
		return nil, err
	}
	return rec, nil
}
