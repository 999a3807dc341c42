package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func (s *scene) digest(key feature.Key) Digest {
	s.t.Helper()
	snap, err := s.store.Snapshot(context.Background(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	d, err := DataVersion(context.Background(), snap, s.feature(key))
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// TestPartVersion digests a part as DataVersion digests a table that holds nothing else.
func TestPartVersion(t *testing.T) {
	t.Parallel()
	s, other := newScene(t, xy("a")), newScene(t, xy("a"))
	s.root("a", "0 p q", "1 p q", "2 p q", "3 p q", "4 p q", "5 p q", "6 p q")
	s.root("a", "0 p2 q", "7 p q")
	s.delete("a", "6")
	other.root("a", "1 p q", "2 p q", "3 p q", "4 p q", "5 p q", "0 p2 q", "7 p q")
	whole := s.digest("a")
	for _, c := range []struct {
		what string
		want Digest
		keep func(id string) bool
	}{
		{"everything", whole, func(string) bool { return true }},
		{"nothing", Digest{Version: "empty"}, func(string) bool { return false }},
		{"even ids", func() Digest {
			some := newScene(t, xy("a"))
			some.root("a", "2 p q", "4 p q", "0 p2 q")
			return some.digest("a")
		}(), func(id string) bool { return id[0]%2 == 0 }},
	} {
		snap, err := s.store.Snapshot(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		got, err := PartVersion(context.Background(), snap, s.feature("a"), Part{Columns: []string{"id"},
			Keep: func(rec arrow.RecordBatch, row int) bool { return c.keep(columnOf(rec, "id").ValueStr(row)) }})
		if err != nil || got.Version != c.want.Version || got.Rows != c.want.Rows {
			t.Errorf("%s: %+v, %v, want %+v", c.what, got, err, c.want)
		}
	}
	if whole.Version != other.digest("a").Version {
		t.Error("the history of a table changed its version")
	}
}

// TestNewest finds the rows that were written last, and neither those that were replaced or deleted since nor too few of
// them because the last commit is small.
func TestNewest(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	s.root("a", "0 p q", "1 p q", "2 p q", "3 p q")
	s.root("a", "0 p2 q", "4 p q")
	s.root("a", "5 p q")
	s.delete("a", "4")
	snap, err := s.store.Snapshot(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	even := Part{Columns: []string{"id"}, Keep: func(rec arrow.RecordBatch, row int) bool {
		return columnOf(rec, "id").ValueStr(row)[0]%2 == 0
	}}
	for _, c := range []struct {
		n    int
		part Part
		want []string
	}{
		{1, Part{}, []string{"5"}}, {2, Part{}, []string{"0", "5"}}, {4, Part{}, []string{"2", "3", "0", "5"}},
		{99, Part{}, []string{"1", "2", "3", "0", "5"}}, {2, even, []string{"2", "0"}},
	} {
		refs, err := Newest(context.Background(), snap, s.feature("a"), c.n, c.part)
		if err != nil {
			t.Fatal(err)
		}
		rec, err := snap.Fetch(context.Background(), refs, []string{"id"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range int(rec.NumRows()) {
			got = append(got, rec.Column(0).ValueStr(i))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("the newest %d: %q, want %q", c.n, got, c.want)
		}
	}
}

func TestDataVersion(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	s.root("a", "1 p q", "2 p q")
	first := s.digest("a")
	if first.Rows != 2 || !first.LastUpdated.Equal(time.UnixMicro(s.clock)) {
		t.Errorf("digest %+v of two samples written at %d", first, s.clock)
	}
	seen := map[string]string{first.Version: "first"}
	changes := []struct{ what, row string }{
		{"another sample", "3 p q"}, {"another version", "3 p2 q"}, {"a version of another field", "3 p q2"},
	}
	for _, c := range changes {
		s.root("a", c.row)
		v := s.digest("a").Version
		if other, ok := seen[v]; ok {
			t.Errorf("%s has the version of %s", c.what, other)
		}
		seen[v] = c.what
	}
	before := s.digest("a")
	s.root("a", "1 p q")
	if after := s.digest("a"); after.Version != before.Version || after.Rows != 3 || !after.LastUpdated.After(before.LastUpdated) {
		t.Errorf("a rewritten row changed the digest from %+v to %+v", before, after)
	}
	s.delete("a", "3")
	if v := s.digest("a").Version; v != first.Version {
		t.Errorf("version %s after a deletion, want that of the samples that are left, %s", v, first.Version)
	}
	other := newScene(t, xy("a"))
	other.root("a", "2 p q")
	other.root("a", "1 old q")
	other.root("a", "1 p q")
	if v := other.digest("a").Version; v != first.Version {
		t.Errorf("version %s in another order of rows and files, want %s", v, first.Version)
	}
	s.delete("a", "1")
	s.delete("a", "2")
	if d := s.digest("a"); d.Version != "empty" || d.Rows != 0 || !d.LastUpdated.IsZero() {
		t.Errorf("digest %+v without samples", d)
	}
}

// A sample without a data version differs from one with the empty text, and "1"+"2x" from "12"+"x".
func TestDataVersionIsInjective(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, rows := range []string{`"id":"1","metaxy_data_version":"2x"`, `"id":"12","metaxy_data_version":"x"`,
		`"id":"1","metaxy_data_version":""`, `"id":"1","metaxy_data_version":null`, `"id":null,"metaxy_data_version":"1"`} {
		s := newScene(t, xy("a"))
		rec := s.rows("id:string metaxy_data_version:string metaxy_feature_version:string",
			`{`+rows+`,"metaxy_feature_version":"`+s.feature("a").Version()+`"}`)
		appendRows(t, s.store, "a", rec)
		v := s.digest("a").Version
		if other, ok := seen[v]; ok {
			t.Errorf("{%s} has the version of {%s}", rows, other)
		}
		seen[v] = rows
	}
}

func TestHashingCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		table, asked Hashing
		ok           bool
	}{
		{Hashing{}, Hashing{}, true},
		{Hashing{}, Hashing{Algorithm: XXH3, TruncationLength: 64}, true},
		{Hashing{Algorithm: XXHash32, TruncationLength: 8}, Hashing{Algorithm: XXHash32, TruncationLength: 8}, true},
		{Hashing{}, Hashing{Algorithm: SHA256}, false},
		{Hashing{}, Hashing{TruncationLength: 8}, false},
		{Hashing{Algorithm: XXHash32, TruncationLength: 8}, Hashing{Algorithm: XXHash32}, false},
	}
	for _, test := range tests {
		s := newScene(t, xy("a"))
		w := store.Write{Rows: batches(s.rows("id:string", `{"id":"1"}`)), Properties: test.table.Properties()}
		if _, err := s.store.Append(context.Background(), "a", w); err != nil {
			t.Fatal(err)
		}
		snap, err := s.store.Snapshot(context.Background(), "a")
		if err != nil {
			t.Fatal(err)
		}
		err = test.asked.Check(snap, "a")
		if (err == nil) != test.ok {
			t.Errorf("%v on a table of %v: error %v", test.asked, test.table, err)
		}
		if err != nil && (!errors.Is(err, ErrHashing) || !strings.Contains(err.Error(), string(test.table.normal().Algorithm))) {
			t.Errorf("error %v does not say what the table has", err)
		}
	}
}

func TestDetectHashing(t *testing.T) {
	t.Parallel()
	for _, algorithm := range Hashes() {
		for _, length := range []int{0, 8, 16} {
			want := Hashing{Algorithm: algorithm, TruncationLength: length}
			s := newScene(t, xy("a"))
			g, err := s.graph.With(feature.Options{TruncationLength: length})
			if err != nil {
				t.Fatal(err)
			}
			s.graph = g
			rec := s.rows("id:string "+sceneVersions, `{"id":"1","metaxy_provenance_by_field":{"x":"1","y":"2"}}`,
				`{"id":"2","metaxy_provenance_by_field":{"x":"1","y":null}}`,
				`{"id":"3","metaxy_provenance_by_field":{"x":"3","y":"|"}}`)
			sealed, err := Seal(s.feature("a"), rec, Stamp{Hashing: want})
			if err != nil {
				t.Fatal(err)
			}
			appendRows(t, s.store, "a", sealed)
			s.checkDetected(want, true)
			s.write("a", s.rows("id:string metaxy_provenance:string "+sceneVersions,
				`{"id":"4","metaxy_provenance":"by hand","metaxy_provenance_by_field":{"x":"1","y":"2"}}`))
			s.checkDetected(Hashing{}, false)
		}
	}
	s := newScene(t, xy("a"))
	s.root("a", "1 - q")
	s.checkDetected(Hashing{}, false)
}

func (s *scene) checkDetected(want Hashing, ok bool) {
	s.t.Helper()
	snap, err := s.store.Snapshot(context.Background(), "a")
	if err != nil {
		s.t.Fatal(err)
	}
	got, found, err := DetectHashing(context.Background(), snap, s.feature("a"))
	if err != nil || found != ok || got != want {
		s.t.Errorf("detected %v, %v, %v; want %v, %v", got, found, err, want, ok)
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	s.root("a", "1 p q")
	snap, err := s.store.Snapshot(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []ReadOptions{{Columns: []string{"nope"}}, {FeatureVersion: "x"}} {
		for _, err := range Read(context.Background(), snap, s.feature("a"), o) {
			if !errors.Is(err, ErrPlan) || !strings.Contains(err.Error(), `"a"`) {
				t.Errorf("error %v, want ErrPlan that names the feature", err)
			}
		}
		if _, err := ReadSchema(snap, s.feature("a"), o); !errors.Is(err, ErrPlan) {
			t.Errorf("schema: error %v, want ErrPlan", err)
		}
	}
}

// Equally old rows of a sample: the later commit wins, then the later row.
func TestReadTies(t *testing.T) {
	t.Parallel()
	s := newScene(t, xy("a"))
	for _, rows := range [][]string{{"1 first q", "2 first q", "2 second q"}, {"1 second q"}} {
		s.clock = 1
		s.root("a", rows...)
	}
	snap, err := s.store.Snapshot(context.Background(), "a")
	if err != nil {
		t.Fatal(err)
	}
	rows := goRows(collect(t, Read(context.Background(), snap, s.feature("a"), ReadOptions{}))...)
	for _, row := range rows {
		if x := row["metaxy_provenance_by_field"].(refRow)["x"]; x != "second" {
			t.Errorf("sample %v has the version %v, want the later one", row["id"], x)
		}
	}
	if len(rows) != 2 {
		t.Errorf("%d samples, want 2", len(rows))
	}
}

// TestRecordedHashing reads what tables record, also what is damaged or not there.
func TestRecordedHashing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		algorithm, length string
		want              Hashing
		ok                bool
		err               string
	}{
		{"", "", Hashing{}, false, ""},
		{"", "8", Hashing{}, false, ""},
		{"xxhash32", "8", Hashing{Algorithm: "xxhash32", TruncationLength: 8}, true, ""},
		{"xxh3_64", "64", Hashing{Algorithm: "xxh3_64"}, true, ""},
		{"sha256", "1000", Hashing{Algorithm: "sha256"}, true, ""},
		{"md5", "", Hashing{Algorithm: "md5"}, true, ""},
		{"md5", "many", Hashing{}, false, "expected a number of characters"},
		{"md5", "-1", Hashing{}, false, "expected a number of characters"},
		{"rot13", "8", Hashing{}, false, "rot13"},
	} {
		properties := map[string]string{}
		if test.algorithm != "" {
			properties["metaxy.hash_algorithm"] = test.algorithm
		}
		if test.length != "" {
			properties["metaxy.hash_truncation_length"] = test.length
		}
		s := newScene(t, xy("a"))
		w := store.Write{Rows: batches(s.rows("id:string", `{"id":"1"}`)), Properties: properties}
		if _, err := s.store.Append(t.Context(), "a", w); err != nil {
			t.Fatal(err)
		}
		snap, err := s.store.Snapshot(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := RecordedHashing(snap)
		if got != test.want || ok != test.ok || (err == nil) != (test.err == "") {
			t.Errorf("%q: got %v, %t, %v; want %v, %t", properties, got, ok, err, test.want, test.ok)
		}
		if err != nil && (!errors.Is(err, ErrHashing) || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%q: %v; want %q", properties, err, test.err)
		}
	}
}
