package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// An explainer collects what is known about the samples that were asked for. Its slices have an element for each of
// them.
type explainer struct {
	plan   *plan
	asked  *table
	tables []*table
	target *table // nil for none
	tuples [][]uint32
	stored []*storedSample
	// superseded is the newest stored row of a sample of which only rows of other feature versions are stored.
	superseded []*storedSample

	entries []uint32     // of the target
	written []string     // the feature version of the newest stored row
	newest  []position   // of the newest stored row, for what its bits say
	past    []*table     // by source: every row of the samples that were asked for
	pastOf  [][][]uint32 // by source and sample: entries of past, the newest first
}

// A storedSample is a row of the target.
type storedSample struct {
	provenance string
	known      bool // provenance is not null
	fields     map[string]string
	has        map[string]bool
}

// parseIDs reads ids that are written as text. The result has an entry for each.
func (p *plan) parseIDs(ids []map[string]string) (*table, error) {
	fields := make([]arrow.Field, len(p.compare))
	cols := make([]arrow.Array, len(p.compare))
	names := make([]string, len(p.compare))
	for i, k := range p.compare {
		names[i] = k.name
		fields[i] = arrow.Field{Name: k.name, Type: p.keyType(i), Nullable: true}
		b := array.NewBuilder(memory.DefaultAllocator, fields[i].Type)
		for _, id := range ids {
			text, ok := id[k.name]
			if !ok || len(id) != len(p.compare) {
				return nil, fmt.Errorf("%w: an id has the columns %q; expected %q",
					ErrPlan, slices.Sorted(maps.Keys(id)), p.compareKeys())
			}
			if err := appendText(b, text); err != nil {
				return nil, fmt.Errorf("%w: %q is no value of the id column %q, which is of type %s",
					ErrPlan, text, k.name, fields[i].Type)
			}
		}
		cols[i] = b.NewArray()
	}
	keys, err := keyColumns(array.NewRecordBatch(arrow.NewSchema(fields, nil), cols, int64(len(ids))), names)
	if err != nil {
		return nil, err
	}
	t := newTable(nil)
	t.addAll(chunk{keys: keys, deleted: nullCells(len(ids))}, len(ids))
	return t, nil
}

func (p *plan) compareKeys() []string {
	out := make([]string, len(p.compare))
	for i, k := range p.compare {
		out[i] = k.name
	}
	return out
}

// keyType is the type of a column that samples are compared by.
func (p *plan) keyType(i int) arrow.DataType {
	if len(p.compare[i].from) > 0 {
		return p.typeOf(p.compare[i])
	}
	if p.target != nil {
		if f, ok := store.Column(p.target.snap.Schema(), p.compare[i].name); ok {
			return f.Type
		}
	}
	return arrow.BinaryTypes.String
}

func appendText(b array.Builder, text string) error {
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(text)
		return nil
	case *array.BinaryBuilder:
		b.AppendString(text)
		return nil
	}
	if text == "" || text == array.NullValueStr {
		return fmt.Errorf("no value")
	}
	return b.AppendValueFromString(text)
}

// askedKey reads the keys of asked samples, as tuples with one entry.
func (e *explainer) askedKey() tupleKey {
	columns := make([]frameKey, len(e.plan.compare))
	for i := range columns {
		columns[i] = frameKey{from: []sourceKey{{0, i}}}
	}
	return tupleKey{tables: []*table{e.asked}, columns: columns}
}

// find looks the asked samples up among the expected and the stored ones.
func (e *explainer) find(expected *tuples) {
	n := len(e.asked.rows)
	e.tuples, e.entries = make([][]uint32, n), make([]uint32, n)
	columns := make([]int, len(e.plan.compare))
	for i := range columns {
		columns[i] = i
	}
	asked := e.asked.lookupBy(columns)
	key := tupleKey{tables: e.tables, columns: e.plan.compare}
	for i := range expected.len() {
		entry, found := key.find(expected.at(i), asked)
		for found {
			if e.tuples[entry] == nil {
				e.tuples[entry] = expected.at(i)
			}
			entry, found = asked.following(entry)
		}
	}
	for i := range e.entries {
		e.entries[i] = none
	}
	if e.target == nil {
		return
	}
	own, stored := e.askedKey(), e.target.lookupBy(e.plan.targetCompare)
	for i := range e.entries {
		if entry, found := own.find([]uint32{uint32(i)}, stored); found {
			e.entries[i] = e.decisive(i, entry, stored)
		}
	}
}

// decisive is, of the stored rows of a sample that begin with the given one, the first that makes the sample stale, or
// the first of all. There are several if the sample is expanded.
func (e *explainer) decisive(i int, first uint32, stored *lookup) uint32 {
	if e.tuples[i] == nil {
		return first
	}
	v := newVersioner(&e.plan.versions, e.plan.hashing, e.tables)
	version, complete := v.compute(e.tuples[i])
	d := differ{plan: e.plan, target: e.target}
	for entry, found := first, true; found; entry, found = stored.following(entry) {
		have, known := d.stored(entry)
		if !known || complete && !bytes.Equal(have, version) || d.flagged(entry) {
			return entry
		}
	}
	return first
}

// flagged reports whether a condition of staleness holds for the stored row.
func (e *explainer) flagged(i uint32) bool {
	d := differ{plan: e.plan, target: e.target}
	return e.entries[i] != none && d.flagged(e.entries[i])
}

// readStored reads what is stored of the asked samples: their versions, and under which feature version they were
// written.
func (e *explainer) readStored(ctx context.Context) error {
	n := len(e.asked.rows)
	e.stored, e.written, e.newest = make([]*storedSample, n), make([]string, n), make([]position, n)
	e.superseded = make([]*storedSample, n)
	if e.target == nil {
		return nil
	}
	for i, entry := range e.entries {
		if entry == none {
			continue
		}
		var err error
		if e.stored[i], err = e.readSample(ctx, e.target.ref(entry)); err != nil {
			return err
		}
	}
	scan := *e.plan.target
	scan.version, scan.texts = "", []string{feature.ColFeatureVersion}
	all, err := scan.load(ctx)
	if err != nil {
		return err
	}
	own := e.askedKey()
	for i := range n {
		entry := own.findRow([]uint32{uint32(i)}, all, e.plan.targetCompare)
		if entry == none {
			continue
		}
		p := all.rows[entry]
		e.newest[i] = p
		if c := &all.chunks[p.chunk()].texts[0]; !c.isNull(p.row()) {
			e.written[i] = string(c.appendText(nil, p.row()))
		}
		if e.stored[i] == nil && !p.deleted() && e.written[i] != e.plan.feature.Version() {
			if e.superseded[i], err = e.readSample(ctx, all.ref(entry)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *explainer) readSample(ctx context.Context, ref store.RowRef) (*storedSample, error) {
	rec, err := e.plan.target.snap.Fetch(ctx, []store.RowRef{ref},
		[]string{feature.ColProvenanceByField, feature.ColProvenance})
	if err != nil {
		return nil, err
	}
	members := make([]string, len(e.plan.versions.fields))
	for i, f := range e.plan.versions.fields {
		members[i] = f.member
	}
	texts, err := textColumns(rec, feature.ColProvenanceByField, members, []string{feature.ColProvenance})
	if err != nil {
		return nil, err
	}
	out := &storedSample{fields: make(map[string]string), has: make(map[string]bool)}
	for i, m := range members {
		if out.has[m] = !texts[i].isNull(0); out.has[m] {
			out.fields[m] = string(texts[i].appendText(nil, 0))
		}
	}
	if last := texts[len(members)]; !last.isNull(0) {
		out.provenance, out.known = string(last.appendText(nil, 0)), true
	}
	return out, nil
}

// findRow looks through a table for an entry with the tuple's key in the given columns, one that is not live too. It
// returns none without any.
func (k *tupleKey) findRow(tuple []uint32, t *table, columns []int) uint32 {
	for e, p := range t.rows {
		keys := t.chunks[p.chunk()].keys
		same := true
		for c := range k.columns {
			column, row := k.cell(c, tuple)
			same = same && column.sameCell(row, &keys[columns[c]], p.row())
		}
		if same {
			return uint32(e)
		}
	}
	return none
}
