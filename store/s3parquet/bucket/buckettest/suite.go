// Package buckettest checks that a bucket.Bucket keeps its promises, and has one that fails on demand.
package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// Run checks a kind of bucket. Each call of open returns an empty one.
func Run(t *testing.T, open func(t *testing.T) bucket.Bucket) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, bucket.Bucket)
	}{
		{"ranges", testRanges},
		{"missing", testMissing},
		{"create is exclusive", testCreate},
		{"create races have one winner", testRace},
		{"put", testPut},
		{"a broken put leaves nothing", testBrokenPut},
		{"listings", testList},
		{"odd names", testNames},
		{"bad names", testBadNames},
		{"delete", testDelete},
		{"cancelled", testCancelled},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := open(t)
			t.Cleanup(func() {
				if err := b.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			test.run(t, b)
		})
	}
}

func put(t *testing.T, b bucket.Bucket, name, body string) {
	t.Helper()
	n, err := b.Put(t.Context(), name, strings.NewReader(body))
	if err != nil || n != int64(len(body)) {
		t.Fatalf("Put(%q) = %d, %v; want %d", name, n, err, len(body))
	}
}

func get(t *testing.T, b bucket.Bucket, name string, off, n int64) string {
	t.Helper()
	r, err := b.Get(t.Context(), name, off, n)
	if err != nil {
		t.Fatalf("Get(%q, %d, %d): %v", name, off, n, err)
	}
	body, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %q: %v", name, err)
	}
	return string(body)
}

func list(t *testing.T, b bucket.Bucket, prefix, after string) []string {
	t.Helper()
	var names []string
	for o, err := range b.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("List(%q, %q): %v", prefix, after, err)
		}
		names = append(names, o.Name)
	}
	return names
}

func testRanges(t *testing.T, b bucket.Bucket) {
	put(t, b, "a/b", "0123456789")
	for _, c := range []struct {
		off, n int64
		want   string
	}{
		{0, -1, "0123456789"}, {0, 0, ""}, {0, 3, "012"}, {3, 4, "3456"}, {7, 100, "789"}, {7, -1, "789"},
		{10, 1, ""}, {10, -1, ""}, {11, 5, ""},
	} {
		if got := get(t, b, "a/b", c.off, c.n); got != c.want {
			t.Errorf("Get(%d, %d) = %q, want %q", c.off, c.n, got, c.want)
		}
	}
	put(t, b, "empty", "")
	if got := get(t, b, "empty", 0, -1); got != "" {
		t.Errorf("Get of an empty object = %q", got)
	}
}

func testMissing(t *testing.T, b bucket.Bucket) {
	put(t, b, "a/b", "x")
	for _, name := range []string{"no", "a", "a/b/c", "a/no"} {
		for _, n := range []int64{-1, 4} {
			if _, err := b.Get(t.Context(), name, 0, n); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Get(%q, 0, %d) = %v, want fs.ErrNotExist", name, n, err)
			}
		}
	}
}

func testCreate(t *testing.T, b bucket.Bucket) {
	if err := b.Create(t.Context(), "log/0.json", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "log/0.json", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create = %v, want fs.ErrExist", err)
	}
	if got := get(t, b, "log/0.json", 0, -1); got != "first" {
		t.Errorf("the object is %q, want the first one's", got)
	}
	if got, want := list(t, b, "", ""), []string{"log/0.json"}; !slices.Equal(got, want) {
		t.Errorf("List = %q, want %q", got, want)
	}
	put(t, b, "log/1.json", "put")
	if err := b.Create(t.Context(), "log/1.json", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create over a Put = %v, want fs.ErrExist", err)
	}
	if err := b.Create(t.Context(), "log/2.json", nil); err != nil {
		t.Errorf("Create of an empty object: %v", err)
	}
}

func testRace(t *testing.T, b bucket.Bucket) {
	const writers, rounds = 8, 5
	for round := range rounds {
		name := fmt.Sprintf("race/%d", round)
		var wins atomic.Int64
		var winner atomic.Value
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				body := strings.Repeat(fmt.Sprint(w), 1000)
				err := b.Create(context.Background(), name, []byte(body))
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(body)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("writer %d: %v", w, err)
				}
			})
		}
		group.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d has %d winners", round, wins.Load())
		}
		if got := get(t, b, name, 0, -1); got != winner.Load() {
			t.Errorf("round %d: the object is not the winner's", round)
		}
	}
}

func testPut(t *testing.T, b bucket.Bucket) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16) // several parts on S3
	n, err := b.Put(t.Context(), "big", iotest.HalfReader(bytes.NewReader(big)))
	if err != nil || n != int64(len(big)) {
		t.Fatalf("Put = %d, %v; want %d", n, err, len(big))
	}
	if got := get(t, b, "big", 0, -1); got != string(big) {
		t.Error("the object differs from what was put")
	}
	if got := get(t, b, "big", 16<<20-3, 6); got != "def012" {
		t.Errorf("range over the end of a part = %q", got)
	}
}

func testBrokenPut(t *testing.T, b bucket.Bucket) {
	broken := errors.New("broken")
	for _, size := range []int{0, 10, 12 << 20} {
		body := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(broken))
		if _, err := b.Put(t.Context(), "x", body); !errors.Is(err, broken) {
			t.Errorf("Put of a body that breaks after %d bytes = %v, want its error", size, err)
		}
	}
	if got := list(t, b, "", ""); len(got) != 0 {
		t.Errorf("List = %q, want nothing", got)
	}
}

func testList(t *testing.T, b bucket.Bucket) {
	names := []string{"a-b/c", "a.b", "a/b.c", "a/b/c", "a/b/d", "a/bc", "a0", "ab/_delta_log/0.json", "b", "ü/é"}
	for _, name := range names {
		put(t, b, name, name)
	}
	for _, c := range []struct{ prefix, after string }{
		{"", ""}, {"a/", ""}, {"a", ""}, {"a/b", ""}, {"a/b/", ""}, {"", "a/b/c"}, {"a/", "a/b.c"}, {"a/", "a/b/"},
		{"a/", "a/z"}, {"a/", "b"}, {"a/b", "a"}, {"no/", ""}, {"b/", ""}, {"", "ü"}, {"ab/_delta_log/", ""},
	} {
		var want []string
		for _, name := range names {
			if strings.HasPrefix(name, c.prefix) && name > c.after {
				want = append(want, name)
			}
		}
		if got := list(t, b, c.prefix, c.after); !slices.Equal(got, want) {
			t.Errorf("List(%q, %q) = %q, want %q", c.prefix, c.after, got, want)
		}
	}
	for o, err := range b.List(t.Context(), "a/b/", "") {
		if err != nil || o.Size != int64(len(o.Name)) || o.ModTime.IsZero() {
			t.Errorf("List has %+v, %v; want size %d and a time", o, err, len(o.Name))
		}
		break // a listing may be left early
	}
}

func testNames(t *testing.T, b bucket.Bucket) {
	names := []string{"a b", "a%20b", "a+b", "a&b=c", "🎬/ü", `q"'`, "a:b", "..a/b", ".hidden", "~", "#?", " lead/trail ",
		"a\nb", "a\tb\rc", "\x01\x1f\x7f/\u0085", "a../b..", "...", "a__0x2f__b", "__0x5f____0x2e__", "%", "%2F%00", "%zz",
		"++ ", "?a=b&c", "#f", `back\slash`, "<&>]]>&amp;&#10;", "e\u0301/\u00e9", "\u2028\ufeff\ufffd", "@:;,=$!*()[]{}|^`"}
	for _, name := range names {
		put(t, b, name, name)
	}
	slices.Sort(names)
	if got := list(t, b, "", ""); !slices.Equal(got, names) {
		t.Errorf("List = %q, want %q", got, names)
	}
	for _, name := range names {
		if got := get(t, b, name, 0, -1); got != name {
			t.Errorf("Get(%q) = %q", name, got)
		}
	}
}

func testBadNames(t *testing.T, b bucket.Bucket) {
	for _, name := range []string{"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/./b", "a//b", "a/", "a\x00b",
		"a\xffb", strings.Repeat("x", bucket.MaxName+1)} {
		_, getErr := b.Get(t.Context(), name, 0, -1)
		_, putErr := b.Put(t.Context(), name, strings.NewReader("x"))
		for op, err := range map[string]error{"Get": getErr, "Put": putErr,
			"Create": b.Create(t.Context(), name, nil), "Delete": b.Delete(t.Context(), name)} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%s(%q) = %v, want fs.ErrInvalid", op, name, err)
			}
		}
	}
}

func testDelete(t *testing.T, b bucket.Bucket) {
	put(t, b, "a/b", "x")
	for range 2 {
		if err := b.Delete(t.Context(), "a/b"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	if err := b.Delete(t.Context(), "never/there"); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	if got := list(t, b, "", ""); len(got) != 0 {
		t.Errorf("List = %q, want nothing", got)
	}
	if err := b.Create(t.Context(), "a/b", nil); err != nil {
		t.Errorf("Create after Delete: %v", err)
	}
}

func testCancelled(t *testing.T, b bucket.Bucket) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, getErr := b.Get(ctx, "x", 0, -1)
	_, putErr := b.Put(ctx, "x", strings.NewReader("x"))
	errs := map[string]error{"Get": getErr, "Put": putErr, "Create": b.Create(ctx, "x", nil), "Delete": b.Delete(ctx, "x")}
	for _, err := range b.List(ctx, "", "") {
		errs["List"] = err
	}
	for _, op := range []string{"Get", "Put", "Create", "Delete", "List"} {
		if !errors.Is(errs[op], context.Canceled) {
			t.Errorf("%s = %v, want context.Canceled", op, errs[op])
		}
	}
	if got := list(t, b, "", ""); len(got) != 0 {
		t.Errorf("List = %q, want nothing", got)
	}
}
