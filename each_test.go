package metaxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// wide has an integer, a fraction, a boolean and a null beside the id.
const wide = `{"id":"a","i":300,"f":0.5,"ok":true,"none":null,"s":"x","metaxy_provenance_by_field":{"default":"1"}}`

func eachOn[In, Out any](t *testing.T, fn func(context.Context, In) (Out, error), rows ...string) (*tables, Result, error) {
	t.Helper()
	ts := newTables(t, graph)
	ts.put("video", rows...)
	r, err := ts.run(Options{BatchSize: 10}, ts.step("video/crop", Each(fn)))
	return ts, r, err
}

func TestEachTypes(t *testing.T) {
	t.Parallel()
	type base struct {
		S string `arrow:"s"`
	}
	type in struct {
		base          // columns of embedded structs count too
		I     int16   `arrow:"i"`
		F     float32 `arrow:"f"`
		OK    *bool   `arrow:"ok"`
		Empty *int64  `arrow:"ghost"`
		Skip  func()  `arrow:"-"`
	}
	type out struct {
		ID    string         `arrow:"id"`
		I     int32          `arrow:"i"`
		U     uint16         `arrow:"u"`
		F     float64        `arrow:"f"`
		Tags  []string       `arrow:"tags"`
		At    time.Time      `arrow:"at"`
		Maybe *string        `arrow:"maybe"`
		Raw   []byte         `arrow:"raw"`
		Day   time.Time      `arrow:"day,date32"`
		Map   map[string]int `arrow:"map"`
		Box   struct {
			X int64 `arrow:"x"`
		} `arrow:"box"`
	}
	fn := func(_ context.Context, v in) (out, error) {
		o := out{ID: "a", I: int32(v.I), U: 7, F: float64(v.F), Tags: []string{v.S, "é"}, Raw: []byte{0, 255}, Map: map[string]int{"k": 1}, Day: time.Date(2024, 5, 6, 23, 0, 0, 0, time.UTC),
			At: time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 3600))}
		o.Box.X = 5
		return o, nil
	}
	ghost := strings.Replace(wide, `"none":null`, `"ghost":4`, 1)
	ts, _, err := eachOn(t, fn, ghost)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ts.rows("video/crop", "id", "i", "u", "f", "tags", "at", "maybe", "raw", "day", "map", "box"), []string{
		`{"id":"a","i":300,"u":7,"f":0.5,"tags":["x","é"],"at":"2024-05-06T06:08:09.123456Z","maybe":null,"raw":"AP8=","day":"2024-05-06","map":{"k":1},"box":{"x":5}}`})
}

func TestEachNulls(t *testing.T) {
	t.Parallel()
	type in struct {
		S *string `arrow:"s"`
		I int64   `arrow:"i"`
	}
	type out struct {
		Null bool  `arrow:"null"`
		I    int64 `arrow:"i"`
	}
	ts, _, err := eachOn(t, func(_ context.Context, v in) (out, error) { return out{v.S == nil, v.I}, nil },
		`{"id":"a","s":"x","i":1,"metaxy_provenance_by_field":{"default":"1"}}`,
		`{"id":"b","s":null,"i":null,"metaxy_provenance_by_field":{"default":"1"}}`)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rows", ts.rows("video/crop", "id", "null", "i"), []string{`{"id":"a","null":false,"i":1}`, `{"id":"b","null":true,"i":0}`})
}

// TestEachOverflow fails only the sample whose value does not fit the field.
func TestEachOverflow(t *testing.T) {
	t.Parallel()
	type in struct {
		I int8 `arrow:"i"`
	}
	_, r, err := eachOn(t, func(_ context.Context, v in) (crop, error) { return crop{}, nil },
		`{"id":"a","i":127,"metaxy_provenance_by_field":{"default":"1"}}`,
		`{"id":"b","i":128,"metaxy_provenance_by_field":{"default":"1"}}`,
		`{"id":"c","i":-128,"metaxy_provenance_by_field":{"default":"1"}}`)
	wantCounts(t, r, "new=3 stale=0 orphaned=0 processed=2 failed=1")
	if err == nil || !strings.Contains(err.Error(), "128") {
		t.Errorf("got %v", err)
	}
}

// TestEachWrongID is a result that claims to be another sample.
func TestEachWrongID(t *testing.T) {
	t.Parallel()
	_, r, err := eachOn(t, func(_ context.Context, v video) (video, error) { return video{ID: "z"}, nil },
		`{"id":"a","path":"p","metaxy_provenance_by_field":{"default":"1"}}`)
	if r.Failed != 1 || err == nil || !strings.Contains(err.Error(), `the result has id="z", but its sample has id="a"`) {
		t.Errorf("%s: %v", counts(r), err)
	}
}

// TestEachAgainstTable compares Out with the table before any sample is computed.
func TestEachAgainstTable(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.videos("1", "a")
	ts.mustRun(Options{}, ts.step("video/crop", cropper(nil)))
	ts.videos("1", "b")
	type other struct {
		Crop bool `arrow:"crop"`
	}
	_, err := ts.run(Options{}, ts.step("video/crop", Each(func(context.Context, video) (other, error) {
		t.Error("a sample was computed although its result cannot be stored")
		return other{}, nil
	})))
	var setup *SetupError
	if !errors.As(err, &setup) || !strings.Contains(err.Error(), "metaxy.other") || !strings.Contains(err.Error(), "crop") {
		t.Errorf("got %v", err)
	}
}

// TestEachReadsOnlyItsColumns is a projection: other columns are not fetched.
func TestEachReadsOnlyItsColumns(t *testing.T) {
	t.Parallel()
	ts := newTables(t, graph)
	ts.put("video", wide)
	var seen []string
	p := Each(func(_ context.Context, v struct {
		S string `arrow:"s"`
	}) (crop, error) {
		return crop{v.S}, nil
	})
	wrapped := watched{p.(interface {
		Processor
		answerer
		preparer
	}), func(b *Batch) { seen = columnNames(b.Rows.Schema()) }}
	ts.mustRun(Options{}, ts.step("video/crop", wrapped))
	equal(t, "columns", seen, []string{"id", "s", feature.ColProvenanceByField, feature.ColProvenance,
		feature.ColDataVersion, feature.ColDataVersionByField})
}

type watched struct {
	inner interface {
		Processor
		answerer
		preparer
	}
	see func(*Batch)
}

func (w watched) Process(ctx context.Context, b *Batch) (arrow.RecordBatch, error) {
	return w.inner.Process(ctx, b)
}
func (w watched) prepare(k task) ([]string, error) { return w.inner.prepare(k) }
func (w watched) answer(ctx context.Context, b *Batch) (answer, error) {
	w.see(b)
	return w.inner.answer(ctx, b)
}

func TestOutTypes(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"func":     outError[struct{ F func() }](),
		"any":      outError[struct{ F any }](),
		"duration": outError[struct{ F time.Duration }](),
		"chan":     outError[struct{ F []chan int }](),
		"option": outError[struct {
			F string `arrow:"f,dict"`
		}](),
		"twice": outError[struct {
			A string `arrow:"x"`
			B string `arrow:"x"`
		}](),
	} {
		if err == nil || !strings.Contains(err.Error(), "struct {") {
			t.Errorf("%s: got %v, want an error that names the struct", name, err)
		}
	}
	if _, err := toRecord([]struct{ U uint64 }{{1 << 63}}); err == nil || !strings.Contains(err.Error(), "9223372036854775808") {
		t.Errorf("a number that does not fit: %v", err)
	}
}

func outError[T any]() error {
	f, err := graph.Lookup("video/crop")
	if err != nil {
		return err
	}
	return outputColumns[T](task{feature: f, rel: relationOf(f), rows: &rowMaker{f: f}})
}

func TestHolds(t *testing.T) {
	t.Parallel()
	type in struct {
		Tags []string `arrow:"tags"`
	}
	for _, c := range []struct {
		t    arrow.DataType
		want bool
	}{
		{arrow.ListOf(arrow.BinaryTypes.String), true},
		{arrow.ListOf(arrow.PrimitiveTypes.Int64), false},
		{arrow.BinaryTypes.String, false},
		{arrow.StructOf(), false},
	} {
		_, err := inputColumns[in](arrow.NewSchema([]arrow.Field{{Name: "tags", Type: c.t}}, nil))
		if (err == nil) != c.want {
			t.Errorf("%s: %v", c.t, err)
		}
	}
}
