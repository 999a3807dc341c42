package bucket_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

// Every kind of request is counted, in a folder as on S3, and a request that fails too.
func TestUsage(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) bucket.Bucket{
		"folder": openFolder, "MinIO": func(t *testing.T) bucket.Bucket { return openS3(t, "p") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bucket.Meter(open(t))
			if u := b.Usage(); u != (bucket.Usage{}) {
				t.Fatalf("before any call: %+v", u)
			}
			useOnce(t, b)
			want := bucket.Usage{Reads: 2, Writes: 3, Lists: 1, Deletes: 1, BytesRead: 4, BytesWritten: 11}
			if name == "MinIO" { // the body that was refused went over the network
				want.BytesWritten += 5
			}
			if u := b.Usage(); u != want {
				t.Errorf("usage %+v, want %+v", u, want)
			}
		})
	}
}

func openFolder(t *testing.T) bucket.Bucket {
	t.Helper()
	b, err := bucket.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// useOnce makes two reads, of which one fails, three writes, of which one is refused, a listing and a deletion.
func useOnce(t *testing.T, b bucket.Bucket) {
	t.Helper()
	put(t, b, "a/put", "123456")
	if err := b.Create(t.Context(), "a/made", []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "a/made", []byte("67890")); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("the second Create = %v", err)
	}
	r, err := b.Get(t.Context(), "a/put", 2, 4)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(r); string(body) != "3456" || err != nil {
		t.Fatalf("read %q, %v", body, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Get(t.Context(), "a/none", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Get of nothing = %v", err)
	}
	for _, err := range b.List(t.Context(), "a/", "") {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(t.Context(), "a/put"); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, b bucket.Bucket, name, body string) {
	t.Helper()
	if _, err := b.Put(t.Context(), name, bytes.NewReader([]byte(body))); err != nil {
		t.Fatal(err)
	}
}

// On S3 what counts is the requests, not the calls: an upload in parts is several.
func TestUsageOfParts(t *testing.T) {
	t.Parallel()
	b := bucket.Meter(openS3(t, "p"))
	body := make([]byte, 20<<20)
	if _, err := b.Put(t.Context(), "large", bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	u := b.Usage()
	if u.Writes != 5 || u.BytesWritten < int64(len(body)) { // begin, three parts of 8 MiB at most, complete
		t.Errorf("an upload in three parts: %+v", u)
	}
}

// A file that is read here and there counts each read.
func TestUsageOfRandomAccess(t *testing.T) {
	t.Parallel()
	b := bucket.Meter(openFolder(t))
	put(t, b, "f", "0123456789")
	r, ok := b.(bucket.RandomAccess)
	if !ok {
		t.Fatal("a metered folder has lost its random access")
	}
	f, err := r.OpenAt(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, off := range []int64{8, 0} {
		if _, err := f.ReadAt(make([]byte, 2), off); err != nil {
			t.Fatal(err)
		}
	}
	if u := b.Usage(); u.Reads != 2 || u.BytesRead != 4 {
		t.Errorf("usage %+v", u)
	}
	if _, ok := bucket.Meter(&buckettest.Faults{Bucket: b, Fail: -1}).(bucket.RandomAccess); ok {
		t.Error("metering gives random access to a bucket that has none")
	}
}
