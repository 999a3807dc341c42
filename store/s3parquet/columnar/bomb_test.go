package columnar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// codecs are all compressions that are read.
var codecs = []compress.Codec{&parquet.Uncompressed, &parquet.Snappy, &parquet.Gzip, &parquet.Zstd, &parquet.Brotli, &parquet.Lz4Raw}

// encodeRows writes rows by another library, with pages of any size.
func encodeRows[T any](t *testing.T, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var file bytes.Buffer
	w := parquet.NewGenericWriter[T](&file, append(options, parquet.PageBufferSize(1<<30))...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// scanFile reads all of a file, and returns its rows and the bytes of its largest batch.
func scanFile(t *testing.T, file []byte, o ReadOptions) (rows, largest int64, err error) {
	t.Helper()
	f, err := o.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return 0, 0, err
	}
	for b, err := range f.Scan(t.Context(), store.Query{}, 0, f.Schema()) {
		if err != nil {
			return rows, largest, err
		}
		rows += b.NumRows()
		size := int64(0)
		for _, c := range b.Columns() {
			for _, buffer := range c.Data().Buffers() {
				if buffer != nil {
					size += int64(buffer.Len())
				}
			}
		}
		largest = max(largest, size)
	}
	return rows, largest, nil
}

// TestPageBombs has pages that really unpack to more than may be in memory. They are refused before they are unpacked.
func TestPageBombs(t *testing.T) {
	type row struct {
		N int64 `parquet:"n"`
	}
	rows := make([]row, 2<<20)
	for _, codec := range codecs {
		file := encodeRows(t, rows, parquet.Compression(codec))
		if n, _, err := scanFile(t, file, ReadOptions{MaxPage: 17 << 20}); n != int64(len(rows)) || err != nil {
			t.Errorf("%s: a page of 16 MiB, of 17: %d rows, %v", codec, n, err)
		}
		var err error
		used := allocated(func() { _, _, err = scanFile(t, file, ReadOptions{MaxPage: 1 << 20}) })
		if !errors.Is(err, store.ErrUnsupported) || !strings.Contains(err.Error(), `column "n"`) {
			t.Errorf("%s: a page of 16 MiB, of 1: %v, want ErrUnsupported that names the column", codec, err)
		}
		if used > 8<<20+uint64(len(file)) {
			t.Errorf("%s: %d bytes are allocated for a page that is refused", codec, used)
		}
	}
}

// TestForgedLengths sets each four bytes of small files to a large number: what is said to be there costs no memory.
func TestForgedLengths(t *testing.T) {
	type row struct {
		ID   string  `parquet:"id,dict"`
		Text *string `parquet:"text,optional"`
		N    []int64 `parquet:"n,list"`
		D    string  `parquet:"d,delta"`
		I    int64   `parquet:"i,delta"`
	}
	text := strings.Repeat("text", 50)
	rows := []row{{"a", &text, []int64{1, 2}, text, 1}, {"b", nil, nil, text + "y", 2}}
	for _, codec := range codecs {
		file := encodeRows(t, rows, parquet.Compression(codec))
		for i := 0; i+4 <= len(file); i += 9 {
			for _, n := range []uint32{1<<31 - 1, 0x0FFFFFFF} { // the second is large as a number of Parquet's headers, too
				forged := bytes.Clone(file)
				binary.LittleEndian.PutUint32(forged[i:], n)
				var err error
				used := allocated(func() { _, _, err = scanFile(t, forged, ReadOptions{}) })
				checkError(t, fmt.Sprintf("%s: %#x at byte %d", codec, n, i), err)
				if used > 256<<20 {
					t.Errorf("%s: %#x at byte %d of %d: %d bytes are allocated (%v)", codec, n, i, len(file), used, err)
				}
			}
		}
	}
}

// TestDictionaryBomb has a dictionary of one long text and many short ones, of which all rows have the long one: batches are
// cut to what fits memory.
func TestDictionaryBomb(t *testing.T) {
	type row struct {
		Text string `parquet:"text,dict"`
	}
	long := strings.Repeat("0", 64<<10)
	rows := make([]row, 1300)
	for i := range rows {
		if rows[i].Text = long; i < 1000 {
			rows[i].Text = fmt.Sprint(i)
		}
	}
	file := encodeRows(t, rows, parquet.Compression(&parquet.Zstd))
	n, largest, err := scanFile(t, file, ReadOptions{BatchBytes: 1 << 20})
	if n != int64(len(rows)) || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if largest > maxRepeated<<20+1<<20 {
		t.Errorf("a batch has %d bytes", largest)
	}
}
