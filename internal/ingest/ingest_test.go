package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var video = feature.Spec{Key: "video", IDColumns: []string{"id"}, Fields: []feature.Field{{Key: "audio"}, {Key: "frames"}}}

// take ingests a text in a format into a store.
func take(t *testing.T, st store.Store, format, text string) (Result, error) {
	t.Helper()
	return ingest(t, st, format, text, Options{})
}

// takeAll ingests JSON lines that are all there is.
func takeAll(t *testing.T, st store.Store, text string) (Result, error) {
	t.Helper()
	return ingest(t, st, "jsonl", text, Options{Prune: true})
}

func ingest(t *testing.T, st store.Store, format, text string, o Options) (Result, error) {
	t.Helper()
	f, err := feature.MustGraph(video).Lookup("video")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "samples")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := Open(t.Context(), SourceOptions{From: path, Format: format, IDColumns: video.IDColumns})
	if err != nil {
		return Result{}, err
	}
	defer func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}()
	now := time.Unix(1, 0)
	if snap, err := st.Snapshot(t.Context(), "video"); err == nil {
		now = now.Add(time.Duration(snap.Version()+1) * time.Second)
	}
	o.Feature, o.Store, o.Source = f, st, src
	if o.Now == nil {
		o.Now = func() time.Time { return now }
	}
	return Run(t.Context(), o)
}

// TestRowsFromTheFuture takes in a changed sample whose stored row was written by a clock that is ahead: the change has to
// be seen, and the next ingest has nothing to do.
func TestRowsFromTheFuture(t *testing.T) {
	t.Parallel()
	st := store.NewMemory()
	ahead := Options{Now: func() time.Time { return time.Now().Add(time.Hour) }}
	if _, err := ingest(t, st, "jsonl", `{"id":"a","n":1}`, ahead); err != nil {
		t.Fatal(err)
	}
	for _, want := range []Result{{Stale: 1}, {Unchanged: 1}} {
		if got, err := ingest(t, st, "jsonl", `{"id":"a","n":2}`, Options{Now: time.Now}); err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

// TestSources reads the same samples in each textual form: after the first, nothing has changed.
func TestSources(t *testing.T) {
	t.Parallel()
	st := store.NewMemory()
	for i, c := range [][2]string{
		{"jsonl", "{\"id\":\"007\",\"n\":1,\"b\":true,\"f\":1.5}\n{\"id\":\"x\",\"n\":2}\n"},
		{"jsonl", "\xef\xbb\xbf\r\n\n{\"f\":1.5,\"b\":true,\"n\":1,\"id\":\"007\",\"z\":null}\r\n {\"id\":\"x\",\"n\":2} "},
		{"json", "[{\"id\":\"007\",\"n\":1,\"b\":true,\"f\":1.5},{\"id\":\"x\",\"n\":2}]"},
		{"json", "{\"id\":\"007\",\"n\":1,\"b\":true,\"f\":1.5}\n{\"id\":\"x\",\"n\":2}"},
		{"csv", "id,n,b,f\n007,1,True,1.5\nx,2,,\n"},
		{"csv", "\xef\xbb\xbff,b,id,n\r\n1.50,TRUE,007,1\r\n,,x,2"},
	} {
		want := Result{Unchanged: 2}
		if i == 0 {
			want = Result{New: 2}
		}
		if got, err := take(t, st, c[0], c[1]); err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", c[1], got, err, want)
		}
	}
}

// TestNothingWritten breaks the last of many rows: the store stays as it was.
func TestNothingWritten(t *testing.T) {
	t.Parallel()
	st := store.NewMemory()
	var good strings.Builder
	good.WriteString("{\"id\":\"a\"}\n")
	for i := range 9_999 {
		fmt.Fprintf(&good, "{\"id\":\"s%d\"}\n", i)
	}
	for _, last := range []string{`{"id":null}`, `{"id":"a"}`, `{"id":7}`, `{`, `{"id":"zz","metaxy_provenance_by_field":{}}`} {
		if _, err := take(t, st, "jsonl", good.String()+last); !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "row 10001") {
			t.Errorf("%s: got %.200v, want an error that names row 10001", last, err)
		}
		if _, err := st.Snapshot(t.Context(), "video"); !errors.Is(err, store.ErrNoTable) {
			t.Fatalf("%s: the table exists: %v", last, err)
		}
	}
}

// TestConflict loses the race once: the second attempt sees what the winner wrote.
func TestConflict(t *testing.T) {
	t.Parallel()
	inner := store.NewMemory()
	st := &racing{Store: inner}
	st.race = func() {
		if _, err := take(t, inner, "jsonl", `{"id":"a","n":1}`); err != nil {
			t.Error(err)
		}
	}
	got, err := take(t, st, "jsonl", "{\"id\":\"a\",\"n\":1}\n{\"id\":\"b\",\"n\":1}")
	if want := (Result{New: 1, Unchanged: 1}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// racing lets another writer in before the first append.
type racing struct {
	store.Store
	race func()
}

func (r *racing) Append(ctx context.Context, key feature.Key, w store.Write) (store.Commit, error) {
	if race := r.race; race != nil {
		r.race = nil
		race()
	}
	return r.Store.Append(ctx, key, w)
}

// TestPatterns shows what wildcards match.
func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.mp4", "a.mp4", true}, {"*.mp4", "a/b.mp4", false}, {"**/*.mp4", "a.mp4", true}, {"**/*.mp4", "a/b/c.mp4", true},
		{"**", "a/b", true}, {"?.mp4", "é.mp4", true}, {"?.mp4", "ab.mp4", false}, {"[a-c]x", "bx", true}, {"[!a]x", "ax", false},
		{"a.b", "aXb", false}, {"é*", "é1", true}, {"a+(b)", "a+(b)", true}, {"*", "a\nb", true},
	} {
		re, err := compilePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := re.MatchString(c.name); got != c.want {
			t.Errorf("%q on %q: got %t, want %t", c.pattern, c.name, got, c.want)
		}
	}
}

// TestVersionOfObjects prefers content to ETag, and ETag to size and time.
func TestVersionOfObjects(t *testing.T) {
	t.Parallel()
	o := object{size: 3, mtime: time.UnixMicro(1_500_000)}
	if got, want := o.version(), "3-1500000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	o.etag = "e"
	if got := o.version(); got != "e" {
		t.Errorf("got %s, want the ETag", got)
	}
	o.content = "c"
	if got := o.version(); got != "c" {
		t.Errorf("got %s, want the content's hash", got)
	}
}

// fuzzSource reads bytes as a file of a format and checks that every row that comes out is JSON.
func fuzzSource(t *testing.T, src func(file) Source, data []byte) {
	f, err := copyToFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	s := src(f)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for rec, err := range s.Rows(t.Context(), nil, []string{"id"}) {
		if err != nil {
			if !errors.Is(err, ErrInput) {
				t.Errorf("%q: %v does not wrap ErrInput", data, err)
			}
			return
		}
		e := rowjson.NewEncoder(rec.Schema())
		for i := range int(rec.NumRows()) {
			if row := e.AppendRow(nil, rec, i); !json.Valid(row) {
				t.Errorf("%q gives %q", data, row)
			}
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{"id,n\na,1\n", "id\n\"a\nb\"\n", "a,a\n", "id,x\n1,{\"a\":1}\n2,[\n", "id,x\n1,1\",\"y\":\"2\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzSource(t, func(f file) Source { return &csvSource{f} }, data) })
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{"{\"id\":1}\n{\"id\":2,\"x\":[]}", "[{\"id\":\"a\"}]", "[", "{\"id\":1}{\"id\":2}", "null\n"} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, array bool) {
		fuzzSource(t, func(f file) Source { return &jsonSource{f, array} }, data)
	})
}

// TestListFolder follows links to files, and finds every regular file once.
func TestListFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"b", "a/x", ".hidden"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("b", filepath.Join(dir, "link")), os.Symlink(".", filepath.Join(dir, "circle"))); err != nil {
		t.Fatal(err)
	}
	found, err := list(t.Context(), SourceOptions{From: dir})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range found {
		names = append(names, strings.TrimPrefix(o.path, dir+"/"))
	}
	if want := []string{".hidden", "a/x", "b", "link"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
