package metaxy

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A sample is one unit of work: what is computed, committed or failed as a whole.
type sample struct {
	key    string // the values of the key columns, as keyOf writes them
	status engine.Status
	rows   arrow.RecordBatch // of the increment
	row    int               // the sample's first row in rows
}

// id returns the values of the key columns for people and machines to read.
func (s sample) id(keyColumns []string) []IDValue {
	id := make([]IDValue, len(keyColumns))
	for i, name := range keyColumns {
		id[i] = IDValue{Column: name, Value: jsonValue(column(s.rows, name), s.row)}
	}
	return id
}

// provenance is what the sample's row will be compared by.
func (s sample) provenance() string { return textAt(column(s.rows, feature.ColProvenance), s.row) }

// A relation says how the samples of a feature relate to rows.
type relation struct {
	keys       []string // the columns that tell samples apart
	aggregates bool     // a sample has one row of the increment for each input
	expands    bool     // a sample is computed to any number of rows
	inputs     []string // the ids of the rows that a sample is aggregated from
}

// relationOf finds the columns by which a feature's samples are told apart. These are its id columns, but the ids of a
// feature that expands its parent are only known after the work, so that its samples are the parent's.
func relationOf(f *feature.Feature) relation {
	r := relation{keys: engine.SampleColumns(f)}
	for _, p := range f.Parents() {
		switch p.Dep.Lineage.Kind {
		case feature.ManyToOne:
			r.aggregates = true
			for _, id := range p.Feature.Spec().IDColumns {
				if to, ok := p.Dep.Rename[id]; ok {
					id = to
				}
				r.inputs = append(r.inputs, id)
			}
		case feature.OneToMany:
			r.expands = true
		}
	}
	return r
}

// members tells which rows belong to the shard.
func (s Shard) members(rec arrow.RecordBatch, d *store.Division) (*samplekey.Members, error) {
	return samplekey.NewMembers(rec, d, s.Index, s.Count)
}

// column returns nil if there is no such column.
func column(rec arrow.RecordBatch, name string) arrow.Array {
	for i := range int(rec.NumCols()) {
		if rec.ColumnName(i) == name {
			return rec.Column(i)
		}
	}
	return nil
}

func columnNames(s *arrow.Schema) []string {
	names := make([]string, s.NumFields())
	for i, f := range s.Fields() {
		names[i] = f.Name
	}
	return names
}

// jsonValue returns strings and integers as themselves, and other values as their JSON text.
func jsonValue(arr arrow.Array, i int) any {
	text := rowjson.AppendValue(nil, arr, i)
	var s string
	if text[0] == '"' && json.Unmarshal(text, &s) == nil {
		return s
	}
	return json.RawMessage(text)
}

// concat joins batches of one schema.
func concat(recs []arrow.RecordBatch) (arrow.RecordBatch, error) {
	if len(recs) == 1 {
		return recs[0], nil
	}
	schema, rows := recs[0].Schema(), int64(0)
	for _, r := range recs {
		rows += r.NumRows()
	}
	cols := make([]arrow.Array, schema.NumFields())
	for c := range cols {
		if first := sameColumn(recs, c); first < c {
			cols[c] = cols[first]
			continue
		}
		parts := make([]arrow.Array, len(recs))
		for i, r := range recs {
			parts[i] = r.Column(c)
		}
		var err error
		if cols[c], err = array.Concatenate(parts, memory.DefaultAllocator); err != nil {
			return nil, fmt.Errorf("join column %q: %w", schema.Field(c).Name, err)
		}
	}
	return array.NewRecordBatch(schema, cols, rows), nil
}

// sameColumn is the first column that is the same as another one in all batches.
func sameColumn(recs []arrow.RecordBatch, c int) int {
	for first := range c {
		if !slices.ContainsFunc(recs, func(r arrow.RecordBatch) bool { return !store.Same(r.Column(first), r.Column(c)) }) {
			return first
		}
	}
	return c
}
