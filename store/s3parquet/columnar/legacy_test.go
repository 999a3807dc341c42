package columnar

import (
	"bytes"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// legacy has lists as old writers and Protocol Buffers wrote them, required columns, and unsigned integers.
type legacy struct {
	ID     string   `parquet:"id,dict"`
	Bare   []int64  `parquet:"bare"`
	Groups []point  `parquet:"groups"`
	Two    twoLevel `parquet:"two"`
	Tuple  tuple    `parquet:"tuple"`
	Small  uint32   `parquet:"small"`
	Big    uint64   `parquet:"big,delta"`
	UUID   [16]byte `parquet:"uuid,uuid"`
}

type point struct {
	X int64   `parquet:"x"`
	Y *string `parquet:"y,optional"`
}

// twoLevel becomes a list whose repeated member is the element itself.
type twoLevel struct {
	Element []int32 `parquet:"element"`
}

// tuple becomes a list whose repeated member is a group of one member, and yet the element.
type tuple struct {
	Element []struct {
		Only string `parquet:"only"`
	} `parquet:"tuple_tuple"`
}

func legacyFile(t *testing.T) []byte {
	t.Helper()
	y := "why"
	rows := []legacy{
		{ID: "a", Bare: []int64{1, 2}, Groups: []point{{X: 1, Y: &y}, {X: 2}}, Small: 1<<32 - 1, Big: 7},
		{ID: "", Two: twoLevel{Element: []int32{3, 4, 5}}},
		{ID: "c", Bare: []int64{9}},
	}
	rows[2].Tuple.Element = append(rows[2].Tuple.Element, struct {
		Only string `parquet:"only"`
	}{"x"})
	var out bytes.Buffer
	w := parquet.NewGenericWriter[legacy](&out, parquet.Compression(&parquet.Zstd))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return rewriteFooter(t, out.Bytes(), func(m *format.FileMetaData) {
		for i := range m.Schema {
			if e := &m.Schema[i]; e.Name == "two" || e.Name == "tuple" {
				e.ConvertedType = thrift.New(deprecated.List)
			}
		}
	})
}

func TestLegacyForms(t *testing.T) {
	t.Parallel()
	f := openBytes(t, ReadOptions{}, legacyFile(t))
	u := arrow.PrimitiveTypes
	for name, want := range map[string]arrow.DataType{
		"id": arrow.BinaryTypes.String, "bare": arrow.ListOf(u.Int64), "two": arrow.ListOf(u.Int32),
		"groups": arrow.ListOf(arrow.StructOf(field("x", u.Int64), field("y", arrow.BinaryTypes.String))),
		"tuple":  arrow.ListOf(arrow.StructOf(field("only", arrow.BinaryTypes.String))),
		"small":  u.Int64, "big": u.Int64, "uuid": arrow.BinaryTypes.Binary,
	} {
		if got, _ := store.Column(f.Schema(), name); !arrow.TypeEqual(got.Type, want) {
			t.Errorf("column %s is %s, want %s", name, got.Type, want)
		}
	}
	q := store.Query{Columns: []string{"id", "bare", "groups", "two", "tuple", "small", "big"}}
	got, _ := scanAll(t, f, q, f.Schema())
	want := []string{
		`{"bare":[1,2],"big":7,"groups":[{"x":1,"y":"why"},{"x":2,"y":null}],"id":"a","small":4294967295,"tuple":[],"two":[]}`,
		`{"bare":[],"big":0,"groups":[],"id":"","small":0,"tuple":[],"two":[3,4,5]}`,
		`{"bare":[9],"big":0,"groups":[],"id":"c","small":0,"tuple":[{"only":"x"}],"two":[]}`,
	}
	for i, row := range jsonRows(t, got) {
		sameJSON(t, []map[string]any{row}, []map[string]any{decodeRow(t, []byte(want[i]))})
	}
}

// TestUnsupportedFiles checks that what is not there is refused by name, and not misread.
func TestUnsupportedFiles(t *testing.T) {
	t.Parallel()
	file, _ := encode(t, WriterOptions{}, featureRows(0, 10))
	for name, change := range map[string]func(*format.FileMetaData){
		"codec":      func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = format.LZO },
		"other file": func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].FilePath = "elsewhere.parquet" },
		"encryption": func(m *format.FileMetaData) { m.EncryptionAlgorithm.Value = &format.AesGcmV1{} },
	} {
		err := readAll(t, rewriteFooter(t, file, change), featureTable())
		if !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", name, err)
		}
	}
}

// TestLyingFooters checks that a file is not believed what it says of itself.
func TestLyingFooters(t *testing.T) {
	t.Parallel()
	file, _ := encode(t, WriterOptions{}, featureRows(0, 10))
	first := func(m *format.FileMetaData) *format.ColumnMetaData { return &m.RowGroups[0].Columns[0].MetaData }
	for name, change := range map[string]func(*format.FileMetaData){
		"more rows":        func(m *format.FileMetaData) { m.NumRows++ },
		"negative rows":    func(m *format.FileMetaData) { m.NumRows, m.RowGroups[0].NumRows = -1, -1 },
		"2^40 rows":        func(m *format.FileMetaData) { m.NumRows, m.RowGroups[0].NumRows = 1<<40, 1<<40 },
		"fewer columns":    func(m *format.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[1:] },
		"chunk outside":    func(m *format.FileMetaData) { first(m).TotalCompressedSize = 1 << 50 },
		"chunk before":     func(m *format.FileMetaData) { first(m).DataPageOffset, first(m).DictionaryPageOffset = -5, 0 },
		"chunk elsewhere":  func(m *format.FileMetaData) { first(m).DataPageOffset, first(m).DictionaryPageOffset = 9, 0 },
		"more values":      func(m *format.FileMetaData) { first(m).NumValues = 11 },
		"another type":     func(m *format.FileMetaData) { first(m).Type = format.Int64 },
		"no schema":        func(m *format.FileMetaData) { m.Schema = nil },
		"endless schema":   func(m *format.FileMetaData) { m.Schema[0].NumChildren = thrift.New(int32(1 << 30)) },
		"unknown type":     func(m *format.FileMetaData) { m.Schema[1].Type = thrift.New(format.Type(77)) },
		"no repetition":    func(m *format.FileMetaData) { m.Schema[1].RepetitionType.Valid = false },
		"index outside":    func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].OffsetIndexOffset = 1 << 50 },
		"index elsewhere":  func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].OffsetIndexOffset = 40 },
		"required for all": func(m *format.FileMetaData) { m.Schema[1].RepetitionType = thrift.New(format.Required) },
	} {
		err := readAll(t, rewriteFooter(t, file, change), featureTable())
		if !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
		checkError(t, name, err)
	}
}
