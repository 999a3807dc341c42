package columnar

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go/format"

	"github.com/metaxy-pipes/metaxy-pipes/internal/machine"
)

const (
	magic          = "PAR1"
	magicEncrypted = "PARE"
	tailSize       = 64 << 10
	// sortedByKey is the metadata entry in which our writer says that the rows ascend over the whole file, which
	// sorting_columns says of each row group only.
	sortedByKey = "metaxy_pipes.sorted_by"
)

// ReadOptions tunes reading; the zero value is good for object storage and folders.
type ReadOptions struct {
	// ReadAhead bounds the bytes of the file that one scan or fetch holds at a time, except that it always holds one
	// page of each column; 0 means 32 MiB.
	ReadAhead int64
	// BatchRows bounds the rows of a batch; 0 means 8,192.
	BatchRows int
	// BatchBytes is about how large a batch gets in memory; 0 means 16 MiB.
	BatchBytes int64
	// MaxPage bounds the bytes of a page, packed and unpacked; 0 means an eighth of the memory that there is, and at least
	// 64 MiB. A larger page is an error wrapping store.ErrUnsupported.
	MaxPage int64
	// End is how many bytes of the end of the file are read to begin with, at most 64 KiB; 0 means that. What the writer
	// has said (see Stats) makes one read of all that it takes to find rows. A file of 64 KiB is read whole.
	End int64
	// Keeper keeps parts of the file for when it is opened again; nil keeps none. Of pages it is given those of scans and
	// fetches that read little.
	Keeper Keeper
}

// defaultMaxPage is a part of the memory that leaves room for what is made of a page.
var defaultMaxPage = sync.OnceValue(func() int64 { return max(64<<20, machine.DefaultLimit()/2) })

func (o ReadOptions) withDefaults() ReadOptions {
	if o.ReadAhead <= 0 {
		o.ReadAhead = 32 << 20
	}
	if o.BatchRows <= 0 {
		o.BatchRows = 8 << 10
	}
	if o.BatchBytes <= 0 {
		o.BatchBytes = 16 << 20
	}
	if o.MaxPage <= 0 {
		o.MaxPage = defaultMaxPage()
	}
	if o.End <= 0 || o.End > tailSize {
		o.End = tailSize
	}
	return o
}

// A File is an open Parquet file. It is safe for concurrent use if its reader is.
type File struct {
	opts   ReadOptions
	r      *parts
	size   int64 // of the part before the footer
	meta   format.FileMetaData
	root   *node
	leaves []*node
	groups []rowGroup
	schema *arrow.Schema
}

// A rowGroup is a checked row group.
type rowGroup struct {
	meta   *format.RowGroup
	first  int64 // the position in the file of its first row
	rows   int64
	chunks []chunk // one for each leaf
}

// A chunk is a checked column chunk.
type chunk struct {
	meta       *format.ColumnChunk
	node       *node
	start, end int64 // where its pages lie in the file
	rows       int64
	maxPage    int64 // bytes
}

// OpenFile reads the footer of a Parquet file of the given size. A damaged file is an error wrapping
// store.ErrCorrupt, one that needs what is not there (encryption, say) an error wrapping store.ErrUnsupported.
func OpenFile(r io.ReaderAt, size int64) (*File, error) { return ReadOptions{}.OpenFile(r, size) }

// OpenFile is the function OpenFile with these options.
func (o ReadOptions) OpenFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{opts: o.withDefaults()}
	footer, err := f.readFooter(r, size)
	if err != nil {
		return nil, err
	}
	n, err := decodeThrift(footer, &f.meta)
	if err != nil {
		return nil, corruptf("read footer: %w", err)
	}
	if n != len(footer) {
		return nil, corruptf("footer has %d bytes more than its content", len(footer)-n)
	}
	if f.meta.EncryptionAlgorithm.Value != nil {
		return nil, unsupportedf("file is encrypted")
	}
	if f.root, f.leaves, err = schemaTree(f.meta.Schema); err != nil {
		return nil, err
	}
	if f.schema, err = inferSchema(f.root); err != nil {
		return nil, err
	}
	return f, f.checkRowGroups()
}

// readFooter returns the footer, most often from a single read of the file's end.
func (f *File) readFooter(r io.ReaderAt, size int64) ([]byte, error) {
	if size < int64(len(magic)+8) {
		return nil, corruptf("file of %d bytes is too short to be Parquet", size)
	}
	f.r = &parts{r: r, keeper: f.opts.Keeper, tailOff: size}
	tailOff := int64(0) // a small file is read whole
	if size > tailSize {
		tailOff = size - max(f.opts.End, int64(len(magic)+8))
	}
	tail, err := f.r.read(span{tailOff, size}, keepEnd)
	if err != nil {
		return nil, err
	}
	switch end := string(tail[len(tail)-4:]); {
	case end == magicEncrypted:
		return nil, unsupportedf("file is encrypted")
	case end != magic:
		return nil, corruptf("file ends with %q, not with %q", end, magic)
	case tailOff == 0 && string(tail[:4]) != magic:
		return nil, corruptf("file begins with %q, not with %q", tail[:4], magic)
	}
	length := int64(binary.LittleEndian.Uint32(tail[len(tail)-8:]))
	f.size = size - 8 - length
	if f.size < int64(len(magic)) {
		return nil, corruptf("footer of %d bytes does not fit a file of %d", length, size)
	}
	f.r.tail, f.r.tailOff = tail, tailOff
	return f.r.read(span{f.size, size - 8}, keepEnd)
}

func (f *File) checkRowGroups() error {
	first := int64(0)
	for i := range f.meta.RowGroups {
		g := rowGroup{meta: &f.meta.RowGroups[i], first: first}
		g.rows = g.meta.NumRows
		if g.rows < 0 || g.rows > math.MaxUint32 {
			return corruptf("row group %d claims %d rows", i, g.rows)
		}
		if g.rows == 0 {
			continue // pyarrow's have columns that lie nowhere
		}
		if len(g.meta.Columns) != len(f.leaves) {
			return corruptf("row group %d has %d columns, the schema %d", i, len(g.meta.Columns), len(f.leaves))
		}
		for j := range g.meta.Columns {
			c, err := f.checkChunk(&g.meta.Columns[j], f.leaves[j], g.rows)
			if err != nil {
				return err
			}
			g.chunks = append(g.chunks, c)
		}
		f.groups = append(f.groups, g)
		if first += g.rows; first > math.MaxUint32 {
			return unsupportedf("file has more than 2^32 rows")
		}
	}
	if first != f.meta.NumRows {
		return corruptf("file claims %d rows, its row groups %d", f.meta.NumRows, first)
	}
	return nil
}

func (f *File) checkChunk(meta *format.ColumnChunk, n *node, rows int64) (chunk, error) {
	m := &meta.MetaData
	if meta.FilePath != "" {
		return chunk{}, unsupportedf("column %q lies in another file", n.path())
	}
	if meta.CryptoMetadata.Value != nil {
		return chunk{}, unsupportedf("column %q is encrypted", n.path())
	}
	start := m.DataPageOffset
	if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < start {
		start = m.DictionaryPageOffset
	}
	if start < int64(len(magic)) || m.TotalCompressedSize < 0 || m.TotalCompressedSize > f.size-start {
		return chunk{}, corruptf("column %q claims bytes %d to %d of a file of %d",
			n.path(), start, start+m.TotalCompressedSize, f.size)
	}
	if m.Type != n.elem.Type.V {
		return chunk{}, corruptf("column %q is %s in the schema and %s in a row group", n.path(), n.elem.Type.V, m.Type)
	}
	if m.NumValues < rows || n.rep == 0 && m.NumValues != rows {
		return chunk{}, corruptf("column %q claims %d values for %d rows", n.path(), m.NumValues, rows)
	}
	return chunk{meta: meta, node: n, start: start, end: start + m.TotalCompressedSize, rows: rows, maxPage: f.opts.MaxPage}, nil
}

// Schema is the file's columns, brought to the types that tables keep.
func (f *File) Schema() *arrow.Schema { return f.schema }

// Note returns what the file's writer has noted under a key, and whether there is such a note.
func (f *File) Note(key string) (text string, ok bool) {
	for _, kv := range f.meta.KeyValueMetadata {
		if kv.Key == key {
			return kv.Value, true
		}
	}
	return "", false
}

// NumRows is the number of rows in the file.
func (f *File) NumRows() int64 { return f.meta.NumRows }

// SortedBy names the columns by which the rows of the whole file ascend, strings by bytes and nulls first, or nil.
func (f *File) SortedBy() []string {
	for _, kv := range f.meta.KeyValueMetadata {
		var names []string
		if kv.Key == sortedByKey && json.Unmarshal([]byte(kv.Value), &names) == nil && f.ordered(names) {
			return names
		}
	}
	if len(f.groups) != 1 {
		return nil
	}
	var names []string
	for _, c := range f.groups[0].meta.SortingColumns {
		if c.Descending || !c.NullsFirst || c.ColumnIdx < 0 || int(c.ColumnIdx) >= len(f.leaves) {
			break
		}
		n := f.leaves[c.ColumnIdx]
		if n.parent != f.root {
			break
		}
		names = append(names, n.elem.Name)
	}
	return names
}

// ordered reports whether the names are columns of the file, as names of an order have to be.
func (f *File) ordered(names []string) bool {
	for _, name := range names {
		if f.root.child(name) == nil {
			return false
		}
	}
	return len(names) > 0
}
