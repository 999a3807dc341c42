package columnar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// meter counts what is read of a file.
type meter struct {
	data []byte

	mu    sync.Mutex
	reads int
	bytes int64
	fail  int // the number of the read that fails; 0: none
}

var errDisk = errors.New("disk on fire")

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	m.reads++
	m.bytes += int64(len(p))
	fail := m.reads == m.fail
	m.mu.Unlock()
	if fail {
		return 0, errDisk
	}
	return bytes.NewReader(m.data).ReadAt(p, off)
}

func (m *meter) open(t *testing.T, o ReadOptions) *File {
	t.Helper()
	f, err := o.OpenFile(m, int64(len(m.data)))
	if err != nil {
		t.Fatal(err)
	}
	m.reads, m.bytes = 0, 0
	return f
}

// TestProjection checks that a scan reads only the columns and members that it is asked for, in few reads.
func TestProjection(t *testing.T) {
	t.Parallel()
	m := &meter{data: featureFile(t, 50_000)}
	f := m.open(t, ReadOptions{})
	size := func(names ...string) (total int64) {
		for _, c := range f.groups[0].chunks {
			if slices.Contains(names, c.node.path()) {
				total += c.end - c.start
			}
		}
		return total
	}
	q := store.Query{
		Columns: []string{"metaxy_provenance_by_field", "id"},
		Members: map[string][]string{"metaxy_provenance_by_field": {"frames", "nothing"}},
	}
	got, _ := scanAll(t, f, q, featureTable())
	if got.NumRows() != 50_000 {
		t.Errorf("scan yields %d rows", got.NumRows())
	}
	if want := size("id", "metaxy_provenance_by_field.frames"); m.bytes < want || m.bytes > want+2*mergeGap {
		t.Errorf("scan read %d bytes, the columns have %d", m.bytes, want)
	}
	if m.reads > 2 {
		t.Errorf("scan made %d reads of 2 columns", m.reads)
	}
	by := got.Column(0).(*array.Struct)
	if by.NumField() != 2 || by.Field(0).NullN() != 0 || by.Field(1).NullN() != 50_000 {
		t.Errorf("members are %v", by.DataType())
	}
}

// TestWindows reads a file that is larger than the read-ahead.
func TestWindows(t *testing.T) {
	t.Parallel()
	want := newGenerator(4, 0.1).batch(everyType(), 60_000)
	data, _ := encode(t, WriterOptions{}, want)
	m := &meter{data: data}
	f := m.open(t, ReadOptions{ReadAhead: 1, BatchRows: 5000})
	got, _ := scanAll(t, f, store.Query{}, everyType())
	sameRows(t, got, want)
	if m.bytes > int64(len(data)) {
		t.Errorf("scan read %d bytes of a file of %d", m.bytes, len(data))
	}
}

// versions makes rows of which each version fills a run, with some nulls; and the positions of one of the versions.
func versions(n, run int, value string) (arrow.RecordBatch, []uint32) {
	schema := arrow.NewSchema([]arrow.Field{
		field("id", arrow.BinaryTypes.String), field("version", arrow.BinaryTypes.String), field("n", arrow.PrimitiveTypes.Int64),
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	var rows []uint32
	for i := range n {
		b.Field(0).(*array.StringBuilder).Append(fmt.Sprintf("%032x", uint64(i)*0x9E3779B97F4A7C15))
		v := fmt.Sprintf("v%04d", i/run)
		if i%17 == 5 {
			b.Field(1).AppendNull()
		} else {
			b.Field(1).(*array.StringBuilder).Append(v)
			if v == value {
				rows = append(rows, uint32(i))
			}
		}
		b.Field(2).(*array.Int64Builder).Append(int64(i))
	}
	return b.NewRecordBatch(), rows
}

func TestWhere(t *testing.T) {
	t.Parallel()
	for _, run := range []int{1, 3, 1000, 100_000, 1_000_000} {
		for _, value := range []string{"v0000", "v0002", "v9999", ""} {
			t.Run(fmt.Sprintf("run=%d/value=%s", run, value), func(t *testing.T) {
				t.Parallel()
				rec, want := versions(250_000, run, value)
				data, _ := encode(t, WriterOptions{RowGroupRows: 110_000}, rec)
				q := store.Query{Columns: []string{"n"}, Where: []store.Equal{{Column: "version", Value: value}}}
				got, rows := scanAll(t, openBytes(t, ReadOptions{BatchRows: 8192}, data), q, rec.Schema())
				if !slices.Equal(rows, want) {
					t.Fatalf("scan yields %d rows, want %d", len(rows), len(want))
				}
				for i, row := range rows {
					if n := got.Column(0).(*array.Int64).Value(i); n != int64(row) {
						t.Fatalf("row %d has number %d", row, n)
					}
				}
			})
		}
	}
}

// TestWhereReadsLittle checks that statistics and page indexes save reading.
func TestWhereReadsLittle(t *testing.T) {
	t.Parallel()
	rec, _ := versions(300_000, 2500, "")
	data, _ := encode(t, WriterOptions{}, rec)
	m := &meter{data: data}
	f := m.open(t, ReadOptions{})
	scan := func(value string) int {
		m.bytes = 0
		q := store.Query{Columns: []string{"id"}, Where: []store.Equal{{Column: "version", Value: value}}}
		_, rows := scanAll(t, f, q, rec.Schema())
		return len(rows)
	}
	if n := scan("zzz"); n != 0 || m.bytes != 0 {
		t.Errorf("a value beyond the statistics: %d rows, %d bytes read, want none", n, m.bytes)
	}
	if n := scan("v0050"); n < 2300 || m.bytes > int64(len(data))/10 {
		t.Errorf("a value on few pages: %d rows, %d bytes read of %d", n, m.bytes, len(data))
	}
	if n := scan("v0050x"); n != 0 || m.bytes > int64(len(data))/10 {
		t.Errorf("a value that no dictionary has: %d rows, %d bytes read of %d", n, m.bytes, len(data))
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	want := newGenerator(8, 0.15).batch(everyType(), 40_000)
	data, _ := encode(t, WriterOptions{RowGroupRows: 15_000}, want)
	f := openBytes(t, ReadOptions{}, data)
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 50, 3000, 40_000} {
		rows := make([]uint32, n)
		for i := range rows {
			rows[i] = uint32(r.IntN(40_000))
		}
		slices.Sort(rows)
		got, err := f.Fetch(t.Context(), rows, nil, everyType())
		if err != nil {
			t.Fatal(err)
		}
		positions := make([]int, n)
		for i, row := range rows {
			positions[i] = int(row)
		}
		taken, err := store.Take(want, positions)
		if err != nil {
			t.Fatal(err)
		}
		sameRows(t, got, taken)
	}
	for _, bad := range [][]uint32{{40_000}, {5, 4}} {
		if _, err := f.Fetch(t.Context(), bad, nil, everyType()); err == nil {
			t.Errorf("fetch of rows %v is no error", bad)
		}
	}
	if _, err := f.Fetch(t.Context(), nil, []string{"nothing"}, everyType()); !errors.Is(err, store.ErrSchema) {
		t.Errorf("fetch of a column that is not there: %v, want ErrSchema", err)
	}
}

// TestFetchReadsLittle checks that a fetch reads the pages that hold its rows, and not much between them.
func TestFetchReadsLittle(t *testing.T) {
	t.Parallel()
	m := &meter{data: featureFile(t, 200_000)}
	f := m.open(t, ReadOptions{})
	got, err := f.Fetch(t.Context(), []uint32{77_777}, nil, featureTable())
	if err != nil {
		t.Fatal(err)
	}
	if want := featureRows(77_777, 1); !array.RecordEqual(got, want) {
		t.Errorf("fetch returns %v, want %v", got, want)
	}
	if m.bytes > int64(len(m.data))/10 || m.reads > 20 {
		t.Errorf("a fetch of one row made %d reads of %d bytes in all, of %d", m.reads, m.bytes, len(m.data))
	}
}

// TestReadErrors fails each read in turn: the storage's error comes out, and is not taken for a damaged file.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	data, _ := encode(t, WriterOptions{}, newGenerator(2, 0.1).batch(everyType(), 20_000))
	for fail := 1; ; fail++ {
		m := &meter{data: data, fail: fail}
		err := func() error {
			f, err := ReadOptions{ReadAhead: 1}.OpenFile(m, int64(len(data)))
			if err != nil {
				return err
			}
			for _, err := range f.Scan(t.Context(), store.Query{Columns: []string{"id", "list"}}, 0, everyType()) {
				if err != nil {
					return err
				}
			}
			_, err = f.Fetch(t.Context(), []uint32{7, 19_000}, []string{"id"}, everyType())
			return err
		}()
		if m.reads < fail {
			break
		}
		if !errors.Is(err, errDisk) || errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("read %d fails: %v, want the storage's error", fail, err)
		}
	}
}

func TestScanStops(t *testing.T) {
	t.Parallel()
	data, _ := encode(t, WriterOptions{RowGroupRows: 1000}, newGenerator(2, 0.1).batch(everyType(), 5000))
	f := openBytes(t, ReadOptions{BatchRows: 100}, data)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches := 0
	var last error
	for _, err := range f.Scan(ctx, store.Query{}, 0, everyType()) {
		if last = err; err != nil {
			break
		}
		if batches++; batches == 3 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || batches != 3 {
		t.Errorf("scan ends after %d batches with %v, want 3 and Canceled", batches, last)
	}
}

// TestMissingColumns reads a file as a table that has more columns and members.
func TestMissingColumns(t *testing.T) {
	t.Parallel()
	rec := featureRows(0, 10)
	data, _ := encode(t, WriterOptions{}, rec)
	f := openBytes(t, ReadOptions{}, data)
	table := arrow.NewSchema([]arrow.Field{
		field("new", arrow.ListOf(arrow.PrimitiveTypes.Int64)), field("id", arrow.BinaryTypes.String),
		field("metaxy_provenance_by_field", arrow.StructOf(field("z", arrow.PrimitiveTypes.Int64))),
	}, nil)
	got, _ := scanAll(t, f, store.Query{}, table)
	if !got.Schema().Equal(table) || got.NumRows() != 10 || got.Column(0).NullN() != 10 || got.Column(1).NullN() != 0 {
		t.Errorf("got %v", got)
	}
	by := got.Column(2).(*array.Struct)
	if by.NullN() != 0 || by.Field(0).NullN() != 10 {
		t.Errorf("a struct of which no member is there has %d nulls, its member %d; want 0 and 10", by.NullN(), by.Field(0).NullN())
	}
	none := store.Query{Where: []store.Equal{{Column: "later", Value: ""}}}
	table = arrow.NewSchema(append(table.Fields(), field("later", arrow.BinaryTypes.String)), nil)
	if got, _ := scanAll(t, f, none, table); got != nil {
		t.Errorf("a condition on a column that the file lacks matches %d rows", got.NumRows())
	}
}

// TestBatchBytes checks that large values make small batches.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{field("blob", arrow.BinaryTypes.String)}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	for i := range 300 {
		b.Field(0).(*array.StringBuilder).Append(string(bytes.Repeat([]byte{byte('a' + i%3)}, 100_000)))
	}
	data, _ := encode(t, WriterOptions{}, b.NewRecordBatch())
	rows := 0
	for batch, err := range openBytes(t, ReadOptions{BatchBytes: 1 << 20}, data).Scan(t.Context(), store.Query{}, 0, schema) {
		if err != nil {
			t.Fatal(err)
		}
		if batch.NumRows() > 11 {
			t.Fatalf("a batch has %d rows of 100 kB", batch.NumRows())
		}
		rows += int(batch.NumRows())
	}
	if rows != 300 {
		t.Errorf("scan yields %d rows, want 300", rows)
	}
}
