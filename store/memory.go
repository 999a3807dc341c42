package store

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Memory is a Store in memory, for tests and examples. Use NewMemory.
type Memory struct {
	mu     sync.Mutex
	tables map[feature.Key]*memorySnapshot
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{tables: make(map[feature.Key]*memorySnapshot)}
}

// Close does nothing: the tables live as long as the Memory.
func (m *Memory) Close() error { return nil }

// Snapshot implements Reader.
func (m *Memory) Snapshot(ctx context.Context, key feature.Key) (Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tables[key]
	if t == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoTable, key)
	}
	return t, nil
}

// Append implements Appender.
func (m *Memory) Append(ctx context.Context, key feature.Key, w Write) (Commit, error) {
	file, added, err := collect(ctx, w.Rows)
	if err != nil {
		return Commit{}, fmt.Errorf("append to %s: %w", key, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.tables[key]
	if old == nil {
		old = &memorySnapshot{version: -1, removal: -1, uri: "memory://" + key.Table(), properties: maps.Clone(w.Properties)}
	}
	if w.Expect != nil && *w.Expect != old.version {
		return Commit{}, fmt.Errorf("append to %s: %w: the table is at version %d, the rows were made for %d",
			key, ErrConflict, old.version, *w.Expect)
	}
	if added == nil && (len(w.Marks) == 0 || old.version < 0) {
		return Commit{Version: old.version}, nil
	}
	next := *old
	next.marks = maps.Clone(old.marks)
	for name, value := range w.Marks {
		if next.marks == nil {
			next.marks = map[string]int64{}
		}
		next.marks[name] = value
	}
	if added == nil {
		next.version, next.timestamp = old.version+1, time.Now().UTC()
		m.tables[key] = &next
		return Commit{Version: next.version}, nil
	}
	if next.schema, err = MergeSchema(old.schema, added); err != nil {
		return Commit{}, fmt.Errorf("append to %s: %w", key, err)
	}
	commit := Commit{Version: old.version + 1, Files: 1}
	for i, rec := range file {
		if file[i], err = Conform(rec, next.schema); err != nil {
			return Commit{}, fmt.Errorf("append to %s: %w", key, err)
		}
		file[i].Retain() // so that a caller who releases what it appended takes nothing away
		for _, c := range file[i].Columns() {
			countNulls(c.Data())
		}
		commit.Rows += rec.NumRows()
		commit.Bytes += recordBytes(file[i])
	}
	next.version, next.timestamp = commit.Version, time.Now().UTC()
	next.files = append(slices.Clip(old.files), memoryFile{commit.Version, file, w.SortedBy})
	m.tables[key] = &next
	return commit, nil
}

// collect reads the batches that have rows, and their common schema; it is nil when there are none.
func collect(ctx context.Context, rows iter.Seq2[arrow.RecordBatch, error]) ([]arrow.RecordBatch, *arrow.Schema, error) {
	var file []arrow.RecordBatch
	var schema *arrow.Schema
	total := int64(0)
	if rows == nil {
		return nil, nil, nil
	}
	for rec, err := range rows {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, err
		}
		if rec.NumRows() == 0 {
			continue
		}
		if schema != nil && !schema.Equal(rec.Schema()) {
			return nil, nil, fmt.Errorf("%w: the batches of one write have different columns", ErrSchema)
		}
		if total += rec.NumRows(); total > math.MaxUint32 {
			return nil, nil, fmt.Errorf("one write has more than %d rows; split it", uint32(math.MaxUint32))
		}
		schema = rec.Schema()
		file = append(file, rec)
	}
	return file, schema, ctx.Err()
}

func recordBytes(rec arrow.RecordBatch) int64 {
	n := uint64(0)
	for _, col := range rec.Columns() {
		n += col.Data().SizeInBytes()
	}
	return int64(n)
}

// memorySnapshot is one version of a table: its files, each in the batches in which it was appended.
type memorySnapshot struct {
	version    int64
	timestamp  time.Time
	uri        string
	schema     *arrow.Schema
	properties map[string]string
	marks      map[string]int64
	removal    int64
	files      []memoryFile
}

// A memoryFile is the rows of one append, without those that were taken out since.
type memoryFile struct {
	version  int64
	batches  []arrow.RecordBatch
	sortedBy []string
}

func (s *memorySnapshot) Version() int64                { return s.version }
func (s *memorySnapshot) Timestamp() time.Time          { return s.timestamp }
func (s *memorySnapshot) URI() string                   { return s.uri }
func (s *memorySnapshot) Schema() *arrow.Schema         { return s.schema }
func (s *memorySnapshot) Properties() map[string]string { return maps.Clone(s.properties) }
func (s *memorySnapshot) Marks() map[string]int64       { return maps.Clone(s.marks) }

func (s *memorySnapshot) LastRemoval() int64 { return s.removal }

// State tells tables apart by the memory of their batches.
func (s *memorySnapshot) State() State { return s.stateOf(len(s.files)) }

func (s *memorySnapshot) stateOf(files int) State {
	h := fnv.New64a()
	fmt.Fprint(h, s.schema)
	for _, file := range s.files[:files] {
		fmt.Fprintf(h, "|%d %p", file.version, file.batches)
	}
	return State{Files: files, Hash: h.Sum64() >> 1}
}

// Since implements Snapshot. Files are never merged here.
func (s *memorySnapshot) Since(_ context.Context, older State, _ int64) ([]int, bool) {
	if older.Files < 0 || older.Files > len(s.files) || s.stateOf(older.Files) != older {
		return nil, false
	}
	return FilesFrom(older.Files, len(s.files)), true
}

func (s *memorySnapshot) RowsHint() int64 {
	n := int64(0)
	for _, file := range s.files {
		for _, rec := range file.batches {
			n += rec.NumRows()
		}
	}
	return n
}

// SortedRuns implements Sorted.
func (s *memorySnapshot) SortedRuns(_ context.Context, column string, most int) ([]SortedRun, bool, error) {
	files := make([]SortedFile, len(s.files))
	for i, file := range s.files {
		if len(file.sortedBy) == 0 || file.sortedBy[0] != column {
			return nil, false, nil
		}
		f := SortedFile{Ordinal: i, Bounded: len(file.batches) > 0}
		for _, rec := range file.batches {
			f.Rows += rec.NumRows()
		}
		if f.Bounded {
			first, last := file.batches[0], file.batches[len(file.batches)-1]
			var low, high bool // are there
			f.Low, low = valueAt(first, column, 0)
			f.High, high = valueAt(last, column, int(last.NumRows())-1)
			f.Bounded = low && high
		}
		files[i] = f
	}
	runs, ok := JoinRuns(files, most)
	return runs, ok, nil
}

// NoNulls implements NullCounter.
func (s *memorySnapshot) NoNulls(column string, members []string) bool {
	for _, file := range s.files {
		for _, rec := range file.batches {
			i := rec.Schema().FieldIndices(column)
			if len(i) == 0 || !noNulls(rec.Column(i[0]), members) {
				return false
			}
		}
	}
	return true
}

func noNulls(column arrow.Array, members []string) bool {
	s, ok := column.(*array.Struct)
	if !ok || s.NullN() > 0 {
		return false
	}
	for _, name := range members {
		i, ok := s.DataType().(*arrow.StructType).FieldIdx(name)
		if !ok || s.Field(i).NullN() > 0 {
			return false
		}
	}
	return true
}

func valueAt(rec arrow.RecordBatch, column string, row int) (string, bool) {
	i := rec.Schema().FieldIndices(column)
	if len(i) == 0 {
		return "", false
	}
	return OrderedValue(rec.Column(i[0]), row)
}

func (s *memorySnapshot) BytesHint() int64 {
	n := int64(0)
	for _, file := range s.files {
		for _, rec := range file.batches {
			n += Size(rec)
		}
	}
	return n
}

func (s *memorySnapshot) Scan(ctx context.Context, q Query) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		to, err := q.Project(s.schema)
		if err != nil {
			yield(Batch{}, err)
			return
		}
		for i, file := range s.files {
			if !q.HasFile(i) || q.After != nil && file.version <= *q.After {
				continue
			}
			first := uint32(0)
			for _, rec := range file.batches {
				b, err := s.filter(ctx, rec, q, to)
				if err != nil {
					yield(Batch{}, err)
					return
				}
				b.File, b.First = uint32(i), first
				for j := range b.Rows {
					b.Rows[j] += first
				}
				if b.NumRows() > 0 && !yield(b, nil) {
					return
				}
				first += uint32(rec.NumRows())
			}
		}
	}
}

// filter returns the rows of one batch that match, their positions counted from its first row.
func (s *memorySnapshot) filter(ctx context.Context, rec arrow.RecordBatch, q Query, to *arrow.Schema) (Batch, error) {
	if err := ctx.Err(); err != nil {
		return Batch{}, err
	}
	rec, err := Conform(rec, s.schema)
	if err != nil {
		return Batch{}, err
	}
	var positions []int
	var rows []uint32
	conditions := conditionsOn(rec, q.Where)
	for i := range int(rec.NumRows()) {
		if matches(conditions, i) {
			positions = append(positions, i)
			rows = append(rows, uint32(i))
		}
	}
	out := projectBatch(rec, to)
	if len(rows) == int(rec.NumRows()) {
		return Batch{RecordBatch: out}, nil
	}
	if out, err = Take(out, positions); err != nil {
		return Batch{}, err
	}
	return Batch{RecordBatch: out, Rows: rows}, nil
}

// A condition holds for the rows of a column that have a value.
type condition struct {
	column *array.String
	value  string
}

func conditionsOn(rec arrow.RecordBatch, where []Equal) []condition {
	out := make([]condition, len(where))
	for i, w := range where {
		out[i] = condition{rec.Column(rec.Schema().FieldIndices(w.Column)[0]).(*array.String), w.Value}
	}
	return out
}

func matches(conditions []condition, row int) bool {
	for _, c := range conditions {
		if c.column.IsNull(row) || c.column.Value(row) != c.value {
			return false
		}
	}
	return true
}

// Fetch takes the rows of each stored batch at once and then brings them into the order asked for.
func (s *memorySnapshot) Fetch(ctx context.Context, rows []RowRef, columns []string) (arrow.RecordBatch, error) {
	to, err := Query{Columns: columns}.Project(s.schema)
	if err != nil {
		return nil, err
	}
	picks := make(map[arrow.RecordBatch][]int) // rows of a stored batch
	outputs := make(map[arrow.RecordBatch][]int)
	for i, ref := range rows {
		rec, row, ok := s.locate(ref)
		if !ok {
			return nil, fmt.Errorf("fetch: the snapshot has no row %d in file %d", ref.Row(), ref.File())
		}
		picks[rec] = append(picks[rec], row)
		outputs[rec] = append(outputs[rec], i)
	}
	parts := []arrow.RecordBatch{emptyBatch(to)}
	order := make([]int, len(rows))
	taken := 0
	for rec, wanted := range picks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i, out := range outputs[rec] {
			order[out] = taken + i
		}
		taken += len(wanted)
		part, err := s.take(rec, wanted, to)
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		parts = append(parts, part)
	}
	return arrange(parts, order, to)
}

// locate finds the stored batch that holds a row, and the row in it.
func (s *memorySnapshot) locate(ref RowRef) (arrow.RecordBatch, int, bool) {
	if int(ref.File()) >= len(s.files) {
		return nil, 0, false
	}
	row := int64(ref.Row())
	for _, rec := range s.files[ref.File()].batches {
		if row < rec.NumRows() {
			return rec, int(row), true
		}
		row -= rec.NumRows()
	}
	return nil, 0, false
}

func (s *memorySnapshot) take(rec arrow.RecordBatch, rows []int, to *arrow.Schema) (arrow.RecordBatch, error) {
	rec, err := Conform(rec, s.schema)
	if err != nil {
		return nil, err
	}
	return Take(projectBatch(rec, to), rows)
}

// arrange joins batches of one schema and returns their rows in the given order.
func arrange(parts []arrow.RecordBatch, order []int, schema *arrow.Schema) (arrow.RecordBatch, error) {
	cols := make([]arrow.Array, schema.NumFields())
	for i := range cols {
		chunks := make([]arrow.Array, len(parts))
		for j, p := range parts {
			chunks[j] = p.Column(i)
		}
		whole, err := array.Concatenate(chunks, memory.DefaultAllocator)
		if err != nil {
			return nil, fmt.Errorf("fetch: column %q: %w", schema.Field(i).Name, err)
		}
		if cols[i], err = TakeArray(whole, order); err != nil {
			return nil, fmt.Errorf("fetch: column %q: %w", schema.Field(i).Name, err)
		}
	}
	return array.NewRecordBatch(schema, cols, int64(len(order))), nil
}

func emptyBatch(schema *arrow.Schema) arrow.RecordBatch {
	cols := make([]arrow.Array, schema.NumFields())
	for i, f := range schema.Fields() {
		cols[i] = array.MakeArrayOfNull(memory.DefaultAllocator, f.Type, 0)
	}
	return array.NewRecordBatch(schema, cols, 0)
}

// countNulls counts what an array counts only when it is asked, and then notes: the readers of a table share its arrays.
func countNulls(data arrow.ArrayData) {
	a := array.MakeFromData(data)
	defer a.Release()
	a.NullN()
	for _, child := range data.Children() {
		countNulls(child)
	}
}
