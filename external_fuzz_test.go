package metaxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

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

// FuzzAnswerArrow takes record batches whose buffers say anything. What the library itself makes of a broken stream is not
// looked at here: it takes the lengths of a schema at their word.
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
