package metaxy

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A rowMaker puts what processors return together with the ids and expected versions of the samples.
type rowMaker struct {
	f     *feature.Feature
	rel   relation
	table atomic.Pointer[arrow.Schema] // nil while there is no table
	good  sync.Map                     // schemas of processors that fit; from *arrow.Schema to true
}

// fits returns an error if what was computed for a sample cannot become rows of the table.
func (m *rowMaker) fits(f finished) error {
	if f.objects != nil {
		_, err := rowjson.ParseRows(slices.Values(bytesOf(f.objects)), m.table.Load(), m.f.Spec().IDColumns...)
		return err
	}
	if f.result == nil || len(f.rows) == 0 {
		return nil
	}
	if _, ok := m.good.Load(f.result.Schema()); ok {
		return nil
	}
	if err := m.fitsTable(f.result.Schema()); err != nil {
		return err
	}
	m.good.Store(f.result.Schema(), true)
	return nil
}

// fitTogether reports whether results in JSON fit as they are, all at once. If not, that may be due to one of them.
func (m *rowMaker) fitTogether(fs []finished) bool {
	var all [][]byte
	for _, f := range fs {
		if f.objects == nil {
			return false
		}
		all = append(all, bytesOf(f.objects)...)
	}
	_, err := rowjson.ParseRows(slices.Values(all), m.table.Load(), m.f.Spec().IDColumns...)
	return err == nil
}

// fitsTable compares the columns of a processor with those of the table.
func (m *rowMaker) fitsTable(s *arrow.Schema) error {
	stored, err := store.StoredSchema(userColumns(s))
	if err == nil && m.table.Load() != nil {
		_, err = store.MergeSchema(m.table.Load(), stored)
	}
	if err == nil {
		err = m.fitsVersions(s)
	}
	if err != nil {
		return fmt.Errorf("the processor's columns do not fit the table of %s: %w", m.f.Key(), err)
	}
	return nil
}

// fitsVersions looks at the data versions that a processor gives.
func (m *rowMaker) fitsVersions(s *arrow.Schema) error {
	given, ok := s.FieldsByName(feature.ColDataVersionByField)
	if !ok {
		return nil
	}
	var members []arrow.Field
	for _, f := range m.f.Spec().Fields {
		members = append(members, arrow.Field{Name: f.Key.StructKey(), Type: arrow.BinaryTypes.String, Nullable: true})
	}
	none := func(t arrow.DataType) arrow.Array { return array.MakeArrayOfNull(memory.DefaultAllocator, t, 0) }
	_, err := override(none(arrow.StructOf(members...)), none(given[0].Type))
	return err
}

// userColumns leaves out the system columns, which a processor does not decide.
func userColumns(s *arrow.Schema) *arrow.Schema {
	var fields []arrow.Field
	for _, f := range s.Fields() {
		if !feature.IsSystemColumn(f.Name) {
			fields = append(fields, f)
		}
	}
	return arrow.NewSchema(fields, nil)
}

func bytesOf(objects []object) [][]byte {
	out := make([][]byte, len(objects))
	for i, o := range objects {
		out[i] = o
	}
	return out
}

// A pile is results with equal columns: whole batches side by side, which of their rows there are, and the rows of the
// increment that these were made of.
type pile struct {
	batches []arrow.RecordBatch
	offset  int // rows of the batches but the last
	rows    []int
	sources []picked
}

// Picked rows are some of a batch.
type picked struct {
	from arrow.RecordBatch
	rows []int
}

// newPile makes room for so many rows.
func newPile(rows int) *pile { return &pile{rows: make([]int, 0, rows)} }

// add puts the rows of a sample on the pile. Samples of one batch follow each other.
func (p *pile) add(f finished) {
	n := len(p.batches)
	if n == 0 || p.batches[n-1] != f.result {
		if n > 0 {
			p.offset += int(p.batches[n-1].NumRows())
		}
		p.batches = append(p.batches, f.result)
	}
	for _, r := range f.rows {
		p.take(p.offset+r, f.sample)
	}
}

// take notes a row of the batches and the sample that it belongs to.
func (p *pile) take(row int, of sample) {
	p.rows = append(p.rows, row)
	if n := len(p.sources); n == 0 || p.sources[n-1].from != of.rows {
		p.sources = append(p.sources, picked{from: of.rows})
	}
	last := &p.sources[len(p.sources)-1]
	last.rows = append(last.rows, of.row)
}

// make returns the rows to seal: the id columns, the columns of the processor, the versions that are expected of the
// samples. The table is nil if there is none; so is the result if the samples have no rows.
func (m *rowMaker) make(fs []finished, table *arrow.Schema) (arrow.RecordBatch, error) {
	piles, err := m.pile(fs, table)
	if err != nil {
		return nil, err
	}
	overrides := slices.ContainsFunc(piles, func(p *pile) bool {
		return p.batches[0].Schema().HasField(feature.ColDataVersionByField)
	})
	if piles == nil {
		return nil, nil
	}
	var parts []arrow.RecordBatch
	for _, p := range piles {
		part, err := m.part(p, overrides)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return unite(parts)
}

// pile sorts results by their columns. Those in JSON get their types from all of them together.
func (m *rowMaker) pile(fs []finished, table *arrow.Schema) ([]*pile, error) {
	var piles []*pile
	var objects [][]byte
	fromJSON := &pile{}
	for _, f := range fs {
		for _, o := range f.objects {
			fromJSON.take(len(objects), f.sample)
			objects = append(objects, o)
		}
		if len(f.rows) == 0 {
			continue
		}
		i := slices.IndexFunc(piles, func(p *pile) bool {
			return p.batches[len(p.batches)-1] == f.result || p.batches[0].Schema().Equal(f.result.Schema())
		})
		if i < 0 {
			i = len(piles)
			piles = append(piles, newPile(len(fs)))
		}
		piles[i].add(f)
	}
	if len(objects) > 0 {
		rec, err := rowjson.ParseRows(slices.Values(objects), table, m.f.Spec().IDColumns...)
		if err != nil {
			return nil, err
		}
		fromJSON.batches = []arrow.RecordBatch{rec}
		piles = append(piles, fromJSON)
	}
	return piles, nil
}

// part makes the rows of a pile.
func (m *rowMaker) part(p *pile, overrides bool) (arrow.RecordBatch, error) {
	result, err := concat(p.batches)
	if err != nil {
		return nil, err
	}
	stored, err := store.StoredSchema(result.Schema())
	if err == nil {
		result, err = store.Conform(withColumns(result, columnNames(stored)), stored)
	}
	if err == nil {
		result, err = pick(result, p.rows)
	}
	if err != nil {
		return nil, err
	}
	source, err := m.source(p.sources)
	if err != nil {
		return nil, err
	}
	return m.complete(result, source, overrides)
}

// source returns the columns of the samples' rows that are stored beside the processor's.
func (m *rowMaker) source(sources []picked) (arrow.RecordBatch, error) {
	names := slices.Concat(m.rel.keys, m.f.Spec().IDColumns, []string{
		feature.ColProvenanceByField, feature.ColProvenance, feature.ColDataVersionByField, feature.ColDataVersion})
	var parts []arrow.RecordBatch
	for _, s := range sources {
		part, err := pick(withColumns(s.from, names), s.rows)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return unite(parts)
}

// pick returns some rows of a batch, without a copy if they follow each other.
func pick(rec arrow.RecordBatch, rows []int) (arrow.RecordBatch, error) {
	for i, r := range rows {
		if r != rows[0]+i {
			return store.Take(rec, rows)
		}
	}
	if len(rows) == 0 {
		return rec.NewSlice(0, 0), nil
	}
	return rec.NewSlice(int64(rows[0]), int64(rows[0]+len(rows))), nil
}

// complete puts the columns of the processor and of the samples side by side.
func (m *rowMaker) complete(result, source arrow.RecordBatch, overrides bool) (arrow.RecordBatch, error) {
	var out sheet
	for _, name := range m.f.Spec().IDColumns {
		from := source
		if m.rel.expands && !slices.Contains(m.rel.keys, name) {
			from = result // only the processor knows the ids of what it has made
		}
		col := column(from, name)
		if col == nil {
			return nil, fmt.Errorf("the processor's rows for %s have no id column %q", m.f.Key(), name)
		}
		if col.NullN() > 0 {
			return nil, fmt.Errorf("the processor's rows for %s have no value in the id column %q", m.f.Key(), name)
		}
		out.add(name, col)
	}
	for i, f := range result.Schema().Fields() {
		if !feature.IsSystemColumn(f.Name) && !slices.Contains(m.rel.keys, f.Name) {
			out.add(f.Name, result.Column(i))
		}
	}
	for _, name := range slices.Concat(m.rel.keys, []string{feature.ColProvenanceByField, feature.ColProvenance}) {
		out.add(name, column(source, name))
	}
	versions := column(source, feature.ColDataVersionByField)
	if !overrides {
		out.add(feature.ColDataVersionByField, versions)
		out.add(feature.ColDataVersion, column(source, feature.ColDataVersion))
		return out.record(result.NumRows()), nil
	}
	// The data version of the row is left to sealing, which computes it from those of the fields.
	given := column(result, feature.ColDataVersionByField)
	versions, err := override(versions, given)
	out.add(feature.ColDataVersionByField, versions)
	return out.record(result.NumRows()), err
}

// A sheet collects columns; the first of a name counts, and one that is nil is left out.
type sheet struct {
	fields []arrow.Field
	cols   []arrow.Array
}

func (s *sheet) add(name string, col arrow.Array) {
	if col == nil || slices.ContainsFunc(s.fields, func(f arrow.Field) bool { return f.Name == name }) {
		return
	}
	s.fields = append(s.fields, arrow.Field{Name: name, Type: col.DataType(), Nullable: true})
	s.cols = append(s.cols, col)
}

func (s *sheet) record(rows int64) arrow.RecordBatch {
	return array.NewRecordBatch(arrow.NewSchema(s.fields, nil), s.cols, rows)
}

// withColumns returns those of the named columns that a batch has, in the order of the names.
func withColumns(rec arrow.RecordBatch, names []string) arrow.RecordBatch {
	var s sheet
	for _, name := range names {
		s.add(name, column(rec, name))
	}
	return s.record(rec.NumRows())
}

// unite joins batches whose columns may differ; what one lacks becomes null.
func unite(parts []arrow.RecordBatch) (arrow.RecordBatch, error) {
	if len(parts) == 1 {
		return parts[0], nil
	}
	schema := parts[0].Schema()
	var err error
	for _, p := range parts[1:] {
		if schema, err = store.MergeSchema(schema, p.Schema()); err != nil {
			return nil, err
		}
	}
	for i, p := range parts {
		if parts[i], err = store.Conform(p, schema); err != nil {
			return nil, err
		}
	}
	return concat(parts)
}
