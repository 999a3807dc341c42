package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// rawClient is a client beside the one under test, and the name of a new bucket.
func rawClient(t *testing.T) (*s3.Client, string) {
	server, name := minio.Bucket(t)
	return s3.New(s3.Options{BaseEndpoint: &server.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(server.AccessKeyID, server.SecretAccessKey, "")}), name
}

// openOn returns the named bucket at an endpoint that leads to MinIO.
func openOn(t *testing.T, endpoint, name string) bucket.Bucket {
	t.Helper()
	server, _ := minio.Bucket(t)
	b, err := bucket.OpenS3(t.Context(), name, "", bucket.S3Options{Endpoint: endpoint,
		AccessKeyID: server.AccessKeyID, SecretAccessKey: server.SecretAccessKey})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// uploads is how many uploads in parts of a key are under way.
func uploads(t *testing.T, client *s3.Client, name, key string) int {
	t.Helper()
	out, err := client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &name, Prefix: &key})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Uploads)
}

// A long body that breaks off, or whose context ends, leaves neither an object nor parts.
func TestAbortedUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	client, name := rawClient(t)
	b := openOn(t, *client.Options().BaseEndpoint, name)
	broken := errors.New("broken")
	for _, c := range []struct {
		name string
		is   error
	}{{"body breaks", broken}, {"context ends", context.Canceled}} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			during := 0
			end := readerFunc(func([]byte) (int, error) {
				during = uploads(t, client, name, "x")
				if c.is == broken {
					return 0, broken
				}
				cancel()
				return 0, io.EOF
			})
			_, err := b.Put(ctx, "x", io.MultiReader(bytes.NewReader(make([]byte, 41<<20)), end))
			if !errors.Is(err, c.is) {
				t.Errorf("Put = %v, want %v", err, c.is)
			}
			if during != 1 {
				t.Errorf("%d uploads in parts while the body was read, want 1", during)
			}
			if after := uploads(t, client, name, "x"); after != 0 {
				t.Errorf("%d uploads are left", after)
			}
			for o, err := range b.List(t.Context(), "", "") {
				t.Errorf("List has %+v, %v", o, err)
			}
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A body is never read far ahead of what the service has taken, so that the memory of a Put does not grow with it.
func TestUploadIsBounded(t *testing.T) {
	t.Parallel()
	const size, ahead = 100 << 20, 40 << 20 // five parts: three on their way, one that is read, and the first
	server, name := minio.Bucket(t)
	var taken atomic.Int64
	endpoint := proxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		if r.URL.Query().Has("partNumber") {
			taken.Add(r.ContentLength)
		}
	})
	b := openOn(t, endpoint, name)
	var read, most int64
	body := io.LimitReader(readerFunc(func(p []byte) (int, error) {
		clear(p)
		read += int64(len(p))
		most = max(most, read-taken.Load())
		return len(p), nil
	}), size)
	n, err := b.Put(t.Context(), "big", iotest.HalfReader(body))
	if err != nil || n != size {
		t.Fatalf("Put = %d, %v; want %d", n, err, size)
	}
	if most > ahead {
		t.Errorf("the body was read up to %d MiB ahead, want %d at most", most>>20, ahead>>20)
	}
	for o, err := range b.List(t.Context(), "", "") {
		if err != nil || o.Size != size {
			t.Errorf("List has %+v, %v; want size %d", o, err, size)
		}
	}
}

// proxy leads to MinIO through a handler.
func proxy(t *testing.T, target string, handle func(http.ResponseWriter, *http.Request, http.Handler)) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	// MinIO checks the signature of the host name, which is the proxy's: the proxy hands it on.
	next := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.Out.Host = r.In.Host }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, next) }))
	t.Cleanup(server.Close)
	return server.URL
}

// lossy leads to MinIO. Of the first matching request the answer gets lost, though the request was done.
func lossy(t *testing.T, target string, match func(*http.Request) bool) string {
	t.Helper()
	var lost atomic.Bool
	return proxy(t, target, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !match(r) || lost.Swap(true) {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	})
}

// After a lost answer the client asks again, and is told that the object exists: the caller has to look whose it is.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	server, name := minio.Bucket(t)
	b := openOn(t, lossy(t, server.Endpoint, func(r *http.Request) bool { return r.Method == http.MethodPut }), name)
	if err := b.Create(t.Context(), "0.json", []byte("mine")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create = %v, want fs.ErrExist", err)
	}
	if got := readAll(t, b, "0.json"); got != "mine" {
		t.Errorf("the object is %q", got)
	}
}

// A Put succeeds whichever of its answers gets lost.
func TestLostAnswerOfPut(t *testing.T) {
	t.Parallel()
	server, name := minio.Bucket(t)
	body := strings.Repeat("0123456789abcdef", 20<<20/16)
	for what, match := range map[string]func(*http.Request) bool{
		"begin":    func(r *http.Request) bool { return r.URL.Query().Has("uploads") },
		"part":     func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == "2" },
		"complete": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Query().Has("uploadId") },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := openOn(t, lossy(t, server.Endpoint, match), name)
			if n, err := b.Put(t.Context(), what, strings.NewReader(body)); err != nil || n != int64(len(body)) {
				t.Fatalf("Put = %d, %v", n, err)
			}
			if readAll(t, b, what) != body {
				t.Error("the object differs from what was put")
			}
		})
	}
}

// An upload that somebody else has taken back is not taken for one that is done, even if there is an object.
func TestUploadTakenBack(t *testing.T) {
	t.Parallel()
	client, name := rawClient(t)
	endpoint := proxy(t, *client.Options().BaseEndpoint, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
			_, err := client.AbortMultipartUpload(r.Context(), &s3.AbortMultipartUploadInput{Bucket: &name, Key: aws.String("x"),
				UploadId: aws.String(r.URL.Query().Get("uploadId"))})
			if err != nil {
				t.Errorf("take back: %v", err)
			}
		}
		next.ServeHTTP(w, r)
	})
	b := openOn(t, endpoint, name)
	for range 2 {
		_, err := b.Put(t.Context(), "x", bytes.NewReader(make([]byte, 20<<20)))
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "NoSuchUpload") {
			t.Errorf("Put = %v, want NoSuchUpload", err)
		}
		if _, err := b.Put(t.Context(), "x", strings.NewReader("old")); err != nil {
			t.Fatal(err)
		}
	}
}

// Server errors are tried again without anybody noticing.
func TestServerErrorsAreRetried(t *testing.T) {
	t.Parallel()
	server, name := minio.Bucket(t)
	var failed atomic.Bool
	endpoint := proxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodGet && !failed.Swap(true) {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
	b := openOn(t, endpoint, name)
	if err := b.Create(t.Context(), "x", []byte("body")); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, b, "x"); got != "body" {
		t.Errorf("the object is %q", got)
	}
}

// Two writers of one name at the same moment are told to try again; the client does.
func TestConflictIsRetried(t *testing.T) {
	t.Parallel()
	server, name := minio.Bucket(t)
	var conflicts atomic.Int64
	endpoint := proxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("If-None-Match") == "*" && conflicts.Add(1) <= 2 {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, "<Error><Code>ConditionalRequestConflict</Code></Error>")
			return
		}
		next.ServeHTTP(w, r)
	})
	b := openOn(t, endpoint, name)
	if err := b.Create(t.Context(), "x", []byte("body")); err != nil || conflicts.Load() != 3 {
		t.Fatalf("Create = %v after %d requests, want 3", err, conflicts.Load())
	}
	if got := readAll(t, b, "x"); got != "body" {
		t.Errorf("the object is %q", got)
	}
}

func readAll(t *testing.T, b bucket.Bucket, name string) string {
	t.Helper()
	r, err := b.Get(t.Context(), name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Every program finds an object by its own name.
func TestKeysOnS3(t *testing.T) {
	t.Parallel()
	client, name := rawClient(t)
	b := openOn(t, *client.Options().BaseEndpoint, name)
	for _, object := range []string{"a\nb", "a../b", "a__0x2f__b", "x\x01/\x7f", "ü/🎬", "a+b %20?#&=", "__0x5f__"} {
		if _, err := b.Put(t.Context(), object, strings.NewReader("by us")); err != nil {
			t.Errorf("Put(%q): %v", object, err)
		}
		if _, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &name, Key: &object}); err != nil {
			t.Errorf("the object %q is not found by its name: %v", object, err)
		}
	}
}
