package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// readAll reads a file in every way there is and returns the first error.
func readAll(t testing.TB, file []byte, table *arrow.Schema) error {
	f, err := ReadOptions{BatchRows: 100}.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return err
	}
	f.SortedBy()
	for _, q := range []store.Query{{}, {Columns: []string{"id"}, Where: []store.Equal{{Column: table.Field(1).Name, Value: "a"}}}} {
		for b, err := range f.Scan(t.Context(), q, 0, table) {
			if err != nil {
				return err
			}
			if b.NumRows() > 200 {
				t.Fatalf("a batch has %d rows", b.NumRows())
			}
		}
	}
	for _, indexed := range []bool{false, true} {
		b, err := bind(f.root, table)
		if err != nil {
			return err
		}
		for i := range f.groups {
			g := &f.groups[i]
			if g.rows == 0 {
				continue
			}
			if err := readRows(f, g, b, []rowRange{{g.rows / 3, g.rows/3 + 1}}, indexed); err != nil {
				return err
			}
		}
	}
	return nil
}

// readRows reads rows as Fetch does, with or without the index.
func readRows(f *File, g *rowGroup, b *binding, ranges []rowRange, indexed bool) (err error) {
	defer recoverCorrupt(&err)
	var reads readAhead
	defer reads.close()
	if err := f.openLeaves(g, b.leaves, ranges, indexed, &reads); err != nil {
		return err
	}
	if err := fillLeaves(b.leaves, ranges); err != nil {
		return err
	}
	_, err = b.record(int(countRows(ranges)))
	return err
}

// checkError fails unless an error says that the file is damaged, and was found by a check rather than by a panic.
func checkError(t *testing.T, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrUnsupported):
		t.Errorf("%s: %v, want ErrCorrupt", what, err)
	case strings.Contains(err.Error(), "decoder stopped"):
		t.Errorf("%s: found by a panic: %v", what, err)
	}
}

// allocated returns how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestFlippedBytes changes bytes all over a file, one at a time. What our writer writes has checksums, so damage to the
// pages that are read is always found.
func TestFlippedBytes(t *testing.T) {
	file, _ := encode(t, WriterOptions{RowGroupRows: 80}, newGenerator(3, 0.2).batch(everyType(), 120))
	clean := allocated(func() {
		if err := readAll(t, file, everyType()); err != nil {
			t.Fatal(err)
		}
	})
	f := openBytes(t, ReadOptions{}, file)
	pages := f.groups[len(f.groups)-1].chunks[len(f.leaves)-1].end
	for i := 0; i < len(file); i += 101 {
		flip := []byte{0x01, 0x80, 0xFF, 0x10}[i%4]
		broken := bytes.Clone(file)
		broken[i] ^= flip
		var err error
		got := allocated(func() { err = readAll(t, broken, everyType()) })
		checkError(t, "flipped byte", err)
		if err == nil && i >= len(magic) && int64(i) < pages && !inHeaderStats(f, i) {
			t.Errorf("byte %d of the pages was changed by %#x, and nobody noticed", i, flip)
		}
		if got > clean+64<<20 {
			t.Errorf("byte %d changed by %#x: reading allocates %d bytes, %d when it is right", i, flip, got, clean)
		}
	}
}

// inHeaderStats reports whether a byte belongs to a page's header, parts of which (the null count, say) are not needed.
func inHeaderStats(f *File, at int) bool {
	for _, g := range f.groups {
		for i := range g.chunks {
			c := &g.chunks[i]
			p := newPages(c, &input{blocks: []*block{{span: span{c.start, c.end}}}, r: f.r}, nil)
			for {
				if ok, err := p.peek(); !ok || err != nil {
					break
				}
				if int64(at) >= p.off && int64(at) < p.off+int64(p.headerLen) {
					return true
				}
				p.discard()
			}
		}
	}
	return false
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	file, _ := encode(t, WriterOptions{}, newGenerator(3, 0.2).batch(everyType(), 200))
	for n := 0; n < len(file); n += 19 {
		err := readAll(t, file[:n], everyType())
		if err == nil {
			t.Fatalf("a file cut to %d of %d bytes reads without an error", n, len(file))
		}
		checkError(t, "cut file", err)
	}
	for n := 1; n < len(file)-8; n += 397 { // a file that lost bytes within
		err := readAll(t, append(bytes.Clone(file[:n]), file[n+1:]...), everyType())
		if err == nil {
			t.Fatalf("a file without byte %d reads without an error", n)
		}
		checkError(t, "file with a gap", err)
	}
}

func TestAbsurdFiles(t *testing.T) {
	t.Parallel()
	footer := func(length uint32, body string) []byte {
		b := append([]byte(magic), body...)
		return append(binary.LittleEndian.AppendUint32(b, length), magic...)
	}
	cases := map[string][]byte{
		"empty":                nil,
		"only magic":           []byte("PAR1PAR1"),
		"no footer":            footer(0, ""),
		"footer before file":   footer(1000, "x"),
		"footer of 4 GiB":      footer(1<<32-1, strings.Repeat("x", 100)),
		"another format":       []byte(strings.Repeat("PK\x03\x04", 50)),
		"list of 2^31 columns": footer(8, "\x15\x02\x29\xfc\xff\xff\xff\x07"),
		"string of 2^31 bytes": footer(9, "\x15\x02\x19\x1c\x48\xff\xff\xff\x0f"),
		"endless structs":      footer(4000, strings.Repeat("\x1c", 4000)),
		"zeros":                footer(100, strings.Repeat("\x00", 100)),
	}
	for name, file := range cases {
		used := allocated(func() {
			_, err := OpenFile(bytes.NewReader(file), int64(len(file)))
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("%s: %v, want ErrCorrupt", name, err)
			}
			checkError(t, name, err)
		})
		if used > 256<<20 { // other tests run at the same time
			t.Errorf("%s: opening allocates %d bytes", name, used)
		}
	}
	encrypted := []byte("PARE" + strings.Repeat("x", 20) + "\x08\x00\x00\x00PARE")
	if _, err := OpenFile(bytes.NewReader(encrypted), int64(len(encrypted))); !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("encrypted file: %v, want ErrUnsupported", err)
	}
	file, _ := encode(t, WriterOptions{}, newGenerator(3, 0).batch(everyType(), 10))
	if _, err := OpenFile(bytes.NewReader(file), 1<<50); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a file said to have 1 PiB: %v, want ErrCorrupt", err)
	}
}

// TestOtherTypes reads a file whose columns have other types than the table says.
func TestOtherTypes(t *testing.T) {
	t.Parallel()
	file, _ := encode(t, WriterOptions{}, newGenerator(3, 0).batch(everyType(), 10))
	f := openBytes(t, ReadOptions{}, file)
	for _, other := range []arrow.Field{
		field("id", arrow.PrimitiveTypes.Int64), field("i64", arrow.BinaryTypes.String), field("list", arrow.BinaryTypes.String),
		field("by_field", arrow.BinaryTypes.String), field("map", arrow.ListOf(arrow.BinaryTypes.String)),
		field("d9", &arrow.Decimal128Type{Precision: 9, Scale: 3}), field("f64", arrow.PrimitiveTypes.Float32),
		field("i64", arrow.PrimitiveTypes.Int32), field("lists", arrow.ListOf(arrow.PrimitiveTypes.Int32)),
	} {
		table := arrow.NewSchema([]arrow.Field{other}, nil)
		_, err := f.Fetch(t.Context(), []uint32{1}, nil, table)
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), other.Name) {
			t.Errorf("column %s as %s: %v, want ErrCorrupt naming it", other.Name, other.Type, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	small := newGenerator(3, 0.2)
	few := arrow.NewSchema([]arrow.Field{field("id", arrow.BinaryTypes.String), field("few", arrow.BinaryTypes.String)}, nil)
	for _, schema := range []*arrow.Schema{few, everyType()} {
		file, _ := encode(f, WriterOptions{RowGroupRows: 20}, small.batch(schema, 30))
		f.Add(file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		checkError(t, "fuzzed file", readAll(t, file, everyType()))
		opened, err := OpenFile(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		for _, err := range opened.Scan(t.Context(), store.Query{}, 0, opened.Schema()) {
			checkError(t, "fuzzed file", err)
		}
	})
}
