package metaxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/klauspost/compress/zstd"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/internal/samplekey"
)

// asked returns a batch of two samples, "a" and "b", and what is needed to take answers to it.
func asked(t testing.TB, key feature.Key) (*Batch, *rowMaker) {
	t.Helper()
	f, err := lineages.Lookup(key)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := rowjson.ParseRows(func(yield func([]byte) bool) {
		_ = yield([]byte(`{"id":"a","metaxy_data_version":"1","metaxy_provenance":"1","metaxy_provenance_by_field":{"default":"1"},"metaxy_data_version_by_field":{"default":"1"}}`)) &&
			yield([]byte(`{"id":"b","metaxy_data_version":"2","metaxy_provenance":"2","metaxy_provenance_by_field":{"default":"2"},"metaxy_data_version_by_field":{"default":"2"}}`))
	}, nil, "id")
	if err != nil {
		t.Fatal(err)
	}
	rel := relationOf(f)
	b := &Batch{Feature: f, Status: engine.New, Rows: rec, keys: rel.keys, first: []int{0, 1, 2}}
	keys, err := samplekey.New(rec, rel.keys)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		k, _ := keys.At(i)
		b.samples = append(b.samples, sample{k, engine.New, rec, i})
	}
	return b, &rowMaker{f: f, rel: rel}
}

// store does with an answer what a run does: rows that are taken can be stored.
func (m *rowMaker) storeAnswer(t *testing.T, b *Batch, a answer) {
	t.Helper()
	done, err := m.rel.match(b, a)
	if err != nil {
		return
	}
	var fit []finished
	for _, f := range done {
		if m.fits(f) == nil {
			fit = append(fit, f)
		}
	}
	rec, kept, refused := m.united(fit, nil)
	if len(kept)+len(refused) != len(fit) {
		t.Fatalf("%d samples fit, and %d are kept and %d refused", len(fit), len(kept), len(refused))
	}
	if rec == nil {
		return
	}
	if _, err := engine.Seal(m.f, rec, engine.Stamp{}); err != nil {
		t.Logf("seal: %v", err) // an error ends the run with its name
	}
}

// FuzzAnswerLine takes whatever a program may print: each line is an answer to a sample that is open, or an error.
func FuzzAnswerLine(f *testing.F) {
	for _, line := range []string{
		`{"id":"a","crop":"x"}`, `{"id":"a","error":"no frames"}`, `{"id":"a","rows":[{"id":"a","frame":1,"text":"t"},{"id":"a","frame":2}]}`,
		`{"id":"nobody"}`, `{"id":"a","id":"b"}`, `[]`, `{"id":"\u0061","crop":1e400}`, `{"id":"a","metaxy_data_version_by_field":{"default":"mine"}}`,
		`{"id":"a","metaxy_provenance":"forged","metaxy_deleted_at":"2150-01-01T00:00:00Z"}`, `{"id":"a","status":"new","x":[1,{"y":null}]}`,
		"Loading: 100%", `{"id":"a","x":9223372036854775808}`, "{\"id\":\"a\",\"\\u0000\":\"\x00\"}",
	} {
		f.Add([]byte(line), true)
		f.Add([]byte(line), false)
	}
	f.Fuzz(func(t *testing.T, line []byte, expand bool) {
		key := feature.Key("movie")
		if expand {
			key = "reel/frame"
		}
		b, m := asked(t, key)
		open := map[string]int{}
		for s, smp := range b.samples {
			open[canonicalKey(m.rel, smp)] = s
		}
		a := answer{objects: map[int][]object{}}
		err := m.rel.accept(b, line, open, &a)
		switch {
		case err != nil && (!errors.Is(err, errAnswer) || len(open) != 2):
			t.Fatalf("error %v with %d samples open", err, len(open))
		case err == nil && len(open) != 1:
			t.Fatalf("an answer leaves %d of 2 samples open", len(open))
		}
		m.storeAnswer(t, b, a)
	})
}

// FuzzAnswerArrow takes record batches whose buffers say anything. FuzzAnswerStream has whole streams.
func FuzzAnswerArrow(f *testing.F) {
	offsets := func(n ...int32) (out []byte) {
		for _, o := range n {
			out = binary.LittleEndian.AppendUint32(out, uint32(o))
		}
		return out
	}
	f.Add(offsets(0, 1, 2), []byte("ab"), []byte{3}, uint8(2))
	f.Add(offsets(0, 1, 1), []byte("a"), []byte{0}, uint8(2))
	f.Add(offsets(0, 9, -1), []byte("ab"), []byte{}, uint8(2))
	f.Add(offsets(0), []byte{}, []byte{}, uint8(200))
	f.Fuzz(func(t *testing.T, offsets, text, valid []byte, n uint8) {
		b, m := asked(t, "movie")
		rec := hostileRecord(offsets, text, valid, int(n))
		if rec == nil || checkColumns(rec) != nil {
			return
		}
		a, err := m.rel.divide(b, rec)
		if err != nil {
			return
		}
		m.storeAnswer(t, b, a)
	})
}

// hostileRecord makes ids and a column of lists of them from buffers. It is nil if the library refuses them.
func hostileRecord(offsets, text, valid []byte, n int) (rec arrow.RecordBatch) {
	defer func() {
		if recover() != nil {
			rec = nil
		}
	}()
	buffers := []*memory.Buffer{memory.NewBufferBytes(valid), memory.NewBufferBytes(offsets), memory.NewBufferBytes(text)}
	if len(valid) == 0 {
		buffers[0] = nil
	}
	ids := array.NewStringData(array.NewData(arrow.BinaryTypes.String, n, buffers, nil, array.UnknownNullCount, 0))
	list := array.NewListData(array.NewData(arrow.ListOf(arrow.BinaryTypes.String), n, buffers[:2],
		[]arrow.ArrayData{ids.Data()}, array.UnknownNullCount, 0))
	var out sheet
	out.add("id", ids)
	out.add("crop", list)
	out.add("error", array.MakeArrayOfNull(memory.DefaultAllocator, arrow.BinaryTypes.String, n))
	return out.record(int64(n))
}

// answerStream is a stream that answers the samples of asked, and has columns of types that are read in ways of their own.
func answerStream(t testing.TB, opts ...ipc.Option) []byte {
	t.Helper()
	texts := func(b array.Builder) arrow.Array {
		for _, text := range []string{"a", "b"} {
			if err := b.AppendValueFromString(text); err != nil {
				t.Fatal(err)
			}
		}
		return b.NewArray()
	}
	var out sheet
	out.add("id", texts(array.NewStringBuilder(memory.DefaultAllocator)))
	out.add("crop", texts(array.NewBuilder(memory.DefaultAllocator,
		&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String})))
	out.add("view", texts(array.NewBuilder(memory.DefaultAllocator, arrow.BinaryTypes.StringView)))
	lists := array.NewListBuilder(memory.DefaultAllocator, arrow.StructOf(arrow.Field{Name: "x", Type: arrow.PrimitiveTypes.Int16}))
	lists.Append(true)
	lists.AppendNull()
	out.add("lists", lists.NewArray())
	rec := out.record(2)
	var stream bytes.Buffer
	w := ipc.NewWriter(&stream, append(opts, ipc.WithSchema(rec.Schema()))...)
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		t.Fatal(err)
	}
	return stream.Bytes()
}

// readStream reads the first batch of a stream as one is read from a program, and returns how many bytes that allocates.
func readStream(stream []byte, maxBody int64) (arrow.RecordBatch, uint64, error) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	rec, err := func() (arrow.RecordBatch, error) {
		r, err := ipc.NewReaderFromMessageReader(&arrowStream{r: bytes.NewReader(stream), maxBody: maxBody})
		if err != nil {
			return nil, err
		}
		if !r.Next() {
			return nil, r.Err()
		}
		return r.RecordBatch(), checkColumns(r.RecordBatch())
	}()
	metrics.Read(sample)
	return rec, sample[0].Value.Uint64() - before, err
}

// FuzzAnswerStream takes whatever bytes a program may send for an Arrow stream. A forged length costs no memory.
func FuzzAnswerStream(f *testing.F) {
	f.Add(answerStream(f))
	f.Add(answerStream(f, ipc.WithLZ4()))
	f.Add(answerStream(f, ipc.WithZstd()))
	f.Fuzz(func(t *testing.T, stream []byte) {
		rec, used, err := readStream(stream, 1<<20)
		if used > 256<<20 {
			t.Fatalf("%d bytes are allocated for a stream of %d", used, len(stream))
		}
		if err != nil || rec == nil {
			return
		}
		b, m := asked(t, "movie")
		a, err := m.rel.divide(b, rec)
		if err != nil {
			return
		}
		m.storeAnswer(t, b, a)
	})
}

// TestForgedArrowLengths sets each four bytes of a stream to a large number: what is said to be there is not allocated.
func TestForgedArrowLengths(t *testing.T) {
	for name, opts := range map[string][]ipc.Option{"plain": nil, "lz4": {ipc.WithLZ4()}, "zstd": {ipc.WithZstd()}} {
		stream := answerStream(t, opts...)
		rec, _, err := readStream(stream, maxAnswer)
		if err != nil || rec.NumRows() != 2 {
			t.Fatalf("%s: the stream as it is: %v", name, err)
		}
		for i := 0; i+4 <= len(stream); i += 4 {
			for _, n := range []uint32{1<<31 - 1, 1 << 28, 1 << 20, 0} {
				forged := bytes.Clone(stream)
				binary.LittleEndian.PutUint32(forged[i:], n)
				_, used, _ := readStream(forged, 64<<20)
				if used > 256<<20 { // other tests run at the same time
					t.Errorf("%s: %d at byte %d: %d bytes are allocated", name, n, i, used)
				}
			}
		}
	}
}

// TestArrowBomb: a buffer that unpacks to more than an answer may have is refused before it is unpacked.
func TestArrowBomb(t *testing.T) {
	zeros := array.NewInt64Builder(memory.DefaultAllocator)
	zeros.AppendValues(make([]int64, 1<<20), nil)
	var out sheet
	out.add("id", zeros.NewArray())
	rec := out.record(1 << 20)
	for name, opt := range map[string]ipc.Option{"lz4": ipc.WithLZ4(), "zstd": ipc.WithZstd()} {
		var stream bytes.Buffer
		w := ipc.NewWriter(&stream, ipc.WithSchema(rec.Schema()), opt)
		if err := errors.Join(w.Write(rec), w.Close()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := readStream(stream.Bytes(), 8<<20); err != nil {
			t.Errorf("%s: 8 MiB of 8 MiB: %v", name, err)
		}
		if _, _, err := readStream(stream.Bytes(), 8<<20-1); err == nil || !strings.Contains(err.Error(), "more than 8388607 bytes when unpacked") {
			t.Errorf("%s: 8 MiB of less: %v", name, err)
		}
	}
}

// TestArrowClaims: a compressed buffer that claims more than its bytes can hold is refused before anything is allocated, also
// when what is wrong stands in a later frame; what is as it claims is read.
func TestArrowClaims(t *testing.T) {
	t.Parallel()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(n int) []byte { return encoder.EncodeAll(make([]byte, n), nil) }
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	wide := []byte{0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x90, 0x01, 0x00, 0x00} // one empty block, and a window of 256 MiB
	single := binary.LittleEndian.AppendUint64([]byte{0x28, 0xB5, 0x2F, 0xFD, 0xE0}, 8<<30)
	for name, c := range map[string]struct {
		packed []byte
		size   int64
		fails  string
	}{
		"zeros":                      {frame(1 << 20), 1 << 20, ""},
		"many blocks":                {encoder.EncodeAll(noise, nil), 300_000, ""},
		"several frames":             {append(frame(1<<20), frame(1<<20)...), 2 << 20, ""},
		"zeros that are 2 GiB":       {frame(1 << 20), 2 << 30, "cannot hold"},
		"nothing that is 2 GiB":      {nil, 2 << 30, "cannot hold"},
		"text that is 2 GiB":         {[]byte("neither zstd nor LZ4"), 2 << 30, "cannot hold"},
		"a window in the first":      {wide, 1 << 20, "asks for 268435456 bytes"},
		"a window in the second":     {append(frame(1<<20), wide...), 1 << 20, "asks for 268435456 bytes"},
		"a content in the second":    {append(frame(1<<20), single...), 1 << 20, "asks for 8589934592 bytes"},
		"a frame to be skipped":      {append([]byte{0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 0}, frame(10)...), 10, "asks for"},
		"a block beyond the end":     {append(bytes.Clone(wide[:5]), 0x50, 0xFF, 0xFF, 0xFF), 1 << 30, "cannot hold"},
		"a frame cut off in a block": {encoder.EncodeAll(noise, nil)[:1000], 300_000, "cannot hold"},
	} {
		err := checkPacked(c.packed, c.size)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, want %q", name, err, c.fails)
		}
	}
}

// TestArrowGarbage: a program that prints text instead of a stream is told so, and nobody takes its letters for a length.
func TestArrowGarbage(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"Loading checkpoint shards: 100%\n", "\xff\xff\xff\xff\xff\xff\xff\x7f", "{}", "\x00\x00\x00\x00"} {
		c := &child{lines: bufio.NewReader(bytes.NewReader([]byte(text))), exited: make(chan struct{})}
		close(c.exited)
		if _, err := c.readArrow(); err == nil {
			t.Errorf("%q is read as a record batch", text)
		}
	}
}
