package delta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

func TestSchemaRoundTrip(t *testing.T) {
	t.Parallel()
	var fields []string
	for _, name := range []string{"string", "long", "integer", "short", "byte", "float", "double", "boolean", "binary",
		"date", "timestamp", "timestamp_ntz", "decimal(38,10)"} {
		fields = append(fields, fmt.Sprintf(`{"name":"ü <%s>","type":%q,"nullable":true,"metadata":{}}`, name, name))
	}
	inner := `{"type":"struct","fields":[` + strings.Join(fields, ",") + `]}`
	list := `{"type":"array","elementType":` + inner + `,"containsNull":true}`
	nested := `{"type":"map","keyType":"string","valueType":` + list + `,"valueContainsNull":true}`
	text := `{"type":"struct","fields":[{"name":"m","type":` + nested + `,"nullable":true,"metadata":{}}]}`
	s, err := parseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.String(); got != text {
		t.Errorf("as JSON again:\n%s, want\n%s", got, text)
	}
	a, err := s.arrowSchema()
	if err != nil {
		t.Fatal(err)
	}
	back, err := fromArrow(a.Fields())
	if err != nil {
		t.Fatal(err)
	}
	if got := back.String(); got != text {
		t.Errorf("over Arrow:\n%s, want\n%s", got, text)
	}
	if stored, err := store.StoredSchema(a); err != nil || !stored.Equal(a) {
		t.Errorf("the columns are not of stored types: %s, %v", stored, err)
	}
}

func TestBadSchemas(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "null", `"string"`, "{}", `{"type":"struct","fields":[{"name":"x"}]}`,
		`{"type":"struct","fields":[{"name":"x","type":{"type":"array"}}]}`,
		`{"type":"struct","fields":[{"name":"x","type":{"type":"map","keyType":"string"}}]}`,
		`{"type":"struct","fields":[{"name":"x","type":"decimal(39,1)"}]}`,
		`{"type":"struct","fields":[{"name":"x","type":"decimal(2,3)"}]}`,
		`{"type":"struct","fields":[{"name":"x","type":"long"},{"name":"x","type":"long"}]}`} {
		s, err := parseSchema(text)
		if err == nil {
			_, err = s.arrowSchema()
		}
		if err == nil {
			t.Errorf("schema %s is taken", text)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a/b.parquet": "a/b.parquet", "k=a b/x": "k=a%20b/x", "k=a%2Fb/x": "k=a%252Fb/x", "ü": "%C3%BC", "a?b#c": "a%3Fb%23c",
	} {
		if got := encodePath(name); got != want {
			t.Errorf("encodePath(%q) = %q, want %q", name, got, want)
		}
		if got, err := decodePath(want); got != name || err != nil {
			t.Errorf("decodePath(%q) = %q, %v; want %q", want, got, err, name)
		}
	}
}

func TestStatsBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", prefixLength)
	late := time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC)
	clock := &arrow.TimestampType{Unit: arrow.Microsecond}
	for _, c := range []struct {
		dt                arrow.DataType
		low, high         any
		wantLow, wantHigh any
	}{
		{arrow.BinaryTypes.String, "a", "b", "a", "b"},
		{arrow.BinaryTypes.String, long, long, long, long},
		{arrow.BinaryTypes.String, long + "y", long + "y", long, long[:31] + "y"},
		{arrow.BinaryTypes.String, strings.Repeat("ü", 40), strings.Repeat("ü", 40), strings.Repeat("ü", 32), strings.Repeat("ü", 31) + "ý"},
		{arrow.BinaryTypes.String, "", strings.Repeat("\U0010FFFF", 33), "", nil},
		{arrow.BinaryTypes.String, "", strings.Repeat("a", 31) + "\U0010FFFFb", "", strings.Repeat("a", 30) + "b"},
		{arrow.BinaryTypes.String, "", strings.Repeat("a", 31) + "\uD7FFb", "", strings.Repeat("a", 31) + "\uE000"},
		{primitives["timestamp"], late, late, "2024-01-02T03:04:05.678Z", "2024-01-02T03:04:05.679Z"},
		{clock, late.Truncate(time.Millisecond), late, "2024-01-02 03:04:05.678", "2024-01-02 03:04:05.679"},
		{primitives["timestamp"], time.Date(1960, 1, 1, 0, 0, 0, 1000, time.UTC), late, "1960-01-01T00:00:00.000Z", "2024-01-02T03:04:05.679Z"},
		{primitives["timestamp"], time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), late, nil, nil},
		{primitives["date"], late, late, "2024-01-02", "2024-01-02"},
		{primitives["long"], int64(-1) << 63, int64(7), int64(-1) << 63, int64(7)},
		{&arrow.Decimal128Type{Precision: 38}, json.Number("-1.50"), json.Number("2"), json.Number("-1.50"), json.Number("2")},
		{primitives["boolean"], false, true, nil, nil},
		{primitives["double"], nil, nil, nil, nil},
	} {
		low, high := bounds(c.dt, c.low, c.high)
		if low != c.wantLow || high != c.wantHigh {
			t.Errorf("bounds(%s, %v, %v) = %v, %v; want %v, %v", c.dt, c.low, c.high, low, high, c.wantLow, c.wantHigh)
		}
		if s, ok := high.(string); ok && c.dt == arrow.BinaryTypes.String && s < c.high.(string) {
			t.Errorf("upper bound %q is below %q", s, c.high)
		}
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.BinaryTypes.String},
		{Name: "s", Type: arrow.StructOf(arrow.Field{Name: "a.b", Type: arrow.PrimitiveTypes.Int64})},
		{Name: "empty", Type: arrow.BinaryTypes.String},
	}, nil)
	text, err := EncodeStats(3, []Leaf{
		{Path: []string{"id"}, Min: "b", Max: "d"}, {Path: []string{"s", "a.b"}, Min: int64(1), Max: int64(2), NullCount: 1},
		{Path: []string{"empty"}, NullCount: 3},
	}, schema)
	want := `{"numRecords":3,"minValues":{"id":"b","s":{"a.b":1}},"maxValues":{"id":"d","s":{"a.b":2}},` +
		`"nullCount":{"empty":3,"id":0,"s":{"a.b":1}}}`
	if err != nil || text != want {
		t.Errorf("EncodeStats = %s, %v; want %s", text, err, want)
	}
	stats := (&Add{Stats: text}).ParseStats()
	for column, values := range map[string]map[string]bool{
		"id": {"a": false, "b": true, "c": true, "d": true, "e": false}, "empty": {"": false}, "s": {"x": true}, "other": {"x": true},
	} {
		for value, want := range values {
			if got := stats.MayHold(column, value); got != want {
				t.Errorf("MayHold(%q, %q) = %t, want %t", column, value, got, want)
			}
		}
	}
	for _, odd := range []string{"", "{", "[]", `{"minValues":{"id":7},"maxValues":null}`, `{"numRecords":"x"}`} {
		if !(&Add{Stats: odd}).ParseStats().MayHold("id", "x") {
			t.Errorf("with stats %s a file is left out", odd)
		}
	}
}

// goldenTable is a table that delta-rs has written.
func goldenTable(t *testing.T, name string) *Table {
	t.Helper()
	b, err := bucket.OpenDir(filepath.Join("..", "testdata", "tables"))
	if err != nil {
		t.Fatal(err)
	}
	return &Table{Bucket: b, Path: name + ".delta"}
}

// delta-rs writes the newest file first into its checkpoints; the order of commits comes back.
func TestForeignCheckpointOrder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"checkpoint", "only_checkpoint"} {
		s, err := goldenTable(t, name).Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range s.Files {
			if want := fmt.Sprintf(`"id":"a%d"`, i); !strings.Contains(f.Stats, want) {
				t.Errorf("%s: file %d has stats %s, want %s", name, i, f.Stats, want)
			}
		}
	}
}

func TestForeignCheckpointContent(t *testing.T) {
	t.Parallel()
	table := goldenTable(t, "deleted")
	s, err := table.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != 2 || len(s.Files) != 2 || len(s.removed) != 1 {
		t.Errorf("version %d with %d files and %d removed, want 2 with 2 and 1", s.Version, len(s.Files), len(s.removed))
	}
	if txn := s.Txns["app"]; txn.Version != 7 || txn.LastUpdated == nil || *txn.LastUpdated != 8 {
		t.Errorf("transactions are %v", s.Txns)
	}
	s, err = goldenTable(t, "only_checkpoint").Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.retention(), 48*time.Hour; got != want {
		t.Errorf("retention is %s, want %s", got, want)
	}
}

// A checkpoint in parts counts only when all parts are there.
func TestCheckpointInParts(t *testing.T) {
	t.Parallel()
	for _, complete := range []bool{true, false} {
		b, err := bucket.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		whole := &Table{Bucket: b, Path: "t"}
		schema := arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.BinaryTypes.String, Nullable: true}}, nil)
		var s *Snapshot
		for i := range 5 {
			if _, err := whole.Append(t.Context(), s, Change{Schema: schema, Files: []Add{{Path: fmt.Sprint(i)}}}); err != nil {
				t.Fatal(err)
			}
			if s, err = whole.Snapshot(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		rows := s.checkpointRows()
		for part := range 3 {
			if part == 1 && !complete {
				continue
			}
			var body bytes.Buffer
			w := parquet.NewGenericWriter[checkpointRow](&body)
			if _, err := w.Write(rows[part*len(rows)/3 : (part+1)*len(rows)/3]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%020d.checkpoint.%010d.%010d.parquet", s.Version, part+1, 3)
			if _, err := b.Put(t.Context(), whole.logPath(name), &body); err != nil {
				t.Fatal(err)
			}
		}
		if complete {
			for v := range s.Version {
				if err := b.Delete(t.Context(), whole.logPath(commitName(v))); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := (&Table{Bucket: b, Path: "t"}).Snapshot(t.Context())
		if err != nil || got.Version != 4 || len(got.Files) != 5 || got.Files[4].Path != "4" {
			t.Errorf("complete %t: %+v, %v", complete, got, err)
		}
	}
}

// A checkpoint that cannot be read is left alone when the commits before it are still there.
func TestDamagedCheckpoint(t *testing.T) {
	t.Parallel()
	b, err := bucket.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	source := goldenTable(t, "checkpoint")
	whole, err := source.read(t.Context(), checkpointName(4), -1)
	if err != nil {
		t.Fatal(err)
	}
	table := &Table{Bucket: b, Path: "t"}
	bodies := [][]byte{nil, []byte("PAR1"), whole[:len(whole)/2], slices.Concat(whole[:200], whole[300:])}
	for i := range 40 { // bytes changed here and there
		damaged := slices.Clone(whole)
		damaged[(i*7919)%len(damaged)] ^= byte(1 << (i % 8))
		bodies = append(bodies, damaged)
	}
	for i, body := range bodies {
		if _, err := b.Put(t.Context(), table.logPath(checkpointName(4)), bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		_, err := table.Snapshot(t.Context())
		if err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrUnsupported) {
			t.Errorf("damage %d: %v, want store.ErrCorrupt", i, err)
		}
		if i < 4 && err == nil {
			t.Errorf("damage %d is not noticed", i)
		}
	}
}

// FuzzDecodeCheckpoint reads whatever lies there as a checkpoint.
func FuzzDecodeCheckpoint(f *testing.F) {
	s := &Snapshot{MetaData: MetaData{ID: "x", SchemaString: `{"type":"struct","fields":[]}`}, Protocol: Protocol{MinReaderVersion: 1, MinWriterVersion: 2}}
	for n := range 3 {
		s.Files = append(s.Files, &File{Add: Add{Path: fmt.Sprint(n), Size: 1, Stats: `{"numRecords":1}`}, Name: fmt.Sprint(n)})
		var body bytes.Buffer
		if err := encodeCheckpoint(&body, s.Removal, s.checkpointRows(), removeRows(s.removed, time.Unix(1, 0))); err != nil {
			f.Fatal(err)
		}
		f.Add(body.Bytes())
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := replayFrom(nil)
		var err error
		used := allocated(func() {
			_, err = decodeCheckpoint(body, wholeCheckpoint, func(a *action) error {
				if a.Add != nil {
					return r.add(a.Add)
				}
				return r.action(a)
			})
		})
		if used > 1<<30 {
			t.Fatalf("%d bytes are allocated for a checkpoint of %d", used, len(body))
		}
		if err != nil {
			return
		}
		s, err := r.finish()
		if err != nil {
			return
		}
		for _, file := range s.Files {
			if bucket.CheckName(file.Name) != nil {
				t.Errorf("data file %q leaves the table", file.Name)
			}
		}
	})
}

// FuzzParseSchema parses the columns of a table; those that can be read are written as they were.
func FuzzParseSchema(f *testing.F) {
	f.Add(`{"type":"struct","fields":[{"name":"a","type":"long","nullable":true,"metadata":{}}]}`)
	f.Add(`{"type":"struct","fields":[{"name":"a","type":{"type":"array","elementType":"decimal(38,10)","containsNull":true},"nullable":false,"metadata":{}}]}`)
	f.Add(`{"type":"struct","fields":[{"name":"m","type":{"type":"map","keyType":"string","valueType":{"type":"struct","fields":[]},"valueContainsNull":true},"nullable":true,"metadata":{"x":1}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSchema(text)
		if err != nil {
			return
		}
		again, err := parseSchema(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%s is written as %s, which reads as %v, %v", text, s, again, err)
		}
	})
}

// FuzzStats asks the statistics of a file, which may leave out files: whatever they are, that must not crash.
func FuzzStats(f *testing.F) {
	f.Add(`{"numRecords":3,"minValues":{"id":"a"},"maxValues":{"id":"c"},"nullCount":{"id":0}}`, "id", "b")
	f.Add(`{"minValues":{"id":{"id":1}},"maxValues":[]}`, "id", "")
	f.Fuzz(func(t *testing.T, stats, column, value string) {
		a := &Add{Stats: stats}
		a.ParseStats().MayHold(column, value)
	})
}

func FuzzDecodeCommit(f *testing.F) {
	for _, name := range []string{"commits", "partitioned", "deleted", "types"} {
		b, err := bucket.OpenDir(filepath.Join("..", "testdata", "tables"))
		if err != nil {
			f.Fatal(err)
		}
		r, err := b.Get(f.Context(), name+".delta/_delta_log/"+commitName(0), 0, -1)
		if err != nil {
			f.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		actions, err := decodeCommit("x", bytes.NewReader(body), int64(len(body)))
		if err != nil {
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("error %v is not store.ErrCorrupt", err)
			}
			return
		}
		r := replayFrom(nil)
		if err := r.apply(logFile{}, actions); err != nil {
			return
		}
		s, err := r.finish()
		if err != nil {
			return
		}
		for _, file := range s.Files {
			if bucket.CheckName(file.Name) != nil {
				t.Errorf("data file %q leaves the table", file.Name)
			}
			file.ParseStats().MayHold("id", "x")
		}
	})
}
