package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// serve returns a bucket on a server of the test's own.
func serve(t *testing.T, handler http.HandlerFunc) bucket.Bucket {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b, err := bucket.OpenS3(t.Context(), "b", "", bucket.S3Options{Endpoint: server.URL, AccessKeyID: "x", SecretAccessKey: secret})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// object answers GET and HEAD as S3 does, by body and etag.
func object(w http.ResponseWriter, r *http.Request, body []byte, etag string) {
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// cutting passes on a number of bytes of a body and then breaks the connection. It counts down over all answers when
// it is shared.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) <= c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left]) // the client sees that it comes short
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// A body that breaks in the middle is read to its end all the same, from where it broke and of the same object.
func TestBrokenBodyIsResumed(t *testing.T) {
	t.Parallel()
	body := make([]byte, 300_000)
	for i := range body {
		body[i] = byte(i * i >> 3)
	}
	for _, c := range []struct{ off, n int64 }{{0, -1}, {0, 300_000}, {0, 150_000}, {7, -1}, {100_001, 150_000}, {299_000, 5000}, {5, math.MaxInt64}} {
		t.Run(fmt.Sprint(c.off, " ", c.n), func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			b := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n := requests.Add(1); n > 1 && r.Header.Get("If-Match") != `"v1"` {
					t.Errorf("request %d has If-Match %q", n, r.Header.Get("If-Match"))
				}
				object(&cutting{w, 40_000}, r, body, `"v1"`)
			})
			r, err := b.Get(t.Context(), "x", c.off, c.n)
			if err != nil {
				t.Fatal(err)
			}
			end := int64(len(body))
			if c.n >= 0 && c.n < end-c.off {
				end = c.off + c.n
			}
			if err := iotest.TestReader(r, body[c.off:end]); err != nil {
				t.Error(err)
			}
			if err := r.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if want := (end - c.off + 39_999) / 40_000; requests.Load() != want {
				t.Errorf("%d requests, want %d", requests.Load(), want)
			}
		})
	}
}

// An answer that is shorter than what was asked for, but sound in itself, is not the end either.
func TestShortAnswerIsContinued(t *testing.T) {
	t.Parallel()
	const body = "0123456789abcdef"
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var first, last int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); n == 2 {
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, min(last, first+4)))
		}
		object(w, r, []byte(body), `"v1"`)
	})
	if got := readRange(t, b, 1, 12); got != body[1:13] {
		t.Errorf("the body is %q, want %q", got, body[1:13])
	}
}

func readRange(t *testing.T, b bucket.Bucket, off, n int64) string {
	t.Helper()
	r, err := b.Get(t.Context(), "x", off, n)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// What cannot be read to its end gives an error, never a body that is silently short.
func TestBodyThatStaysBroken(t *testing.T) {
	t.Parallel()
	body := []byte(strings.Repeat("0123456789", 1000))
	first := func(n int64, yes, no http.HandlerFunc) http.HandlerFunc {
		var requests atomic.Int64
		return func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) <= n {
				yes(w, r)
			} else {
				no(w, r)
			}
		}
	}
	cut := func(w http.ResponseWriter, r *http.Request) { object(&cutting{w, 100}, r, body, `"v1"`) }
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		off     int64
		is      error
		says    string
	}{
		{"nothing more comes", first(1, cut, func(w http.ResponseWriter, r *http.Request) { object(&cutting{w, 0}, r, body, `"v1"`) }),
			0, io.ErrUnexpectedEOF, "breaks off at byte 100 of 10000"},
		{"replaced", first(1, cut, func(w http.ResponseWriter, r *http.Request) { object(w, r, body, `"v2"`) }), 0, nil, "was replaced"},
		{"deleted", first(1, cut, http.NotFound), 0, fs.ErrNotExist, "x"},
		{"denied", first(1, cut, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }), 0, fs.ErrPermission, "check the credentials"},
		{"shrunk", first(1, cut, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(416) }), 0, nil, "was replaced"},
		{"ranges are ignored", func(w http.ResponseWriter, r *http.Request) { r.Header.Del("Range"); object(w, r, body, `"v1"`) },
			5, nil, "does not answer with the range"},
		{"another range", func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=4-9")
			object(w, r, body, `"v1"`)
		}, 5, nil, `range "bytes 4-9/10000", want one from 5`},
		{"no length", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			_, _ = w.Write(make([]byte, 100_000))
		},
			0, nil, "does not say how long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := serve(t, c.handler)
			r, err := b.Get(t.Context(), "x", c.off, -1)
			if err == nil {
				_, err = io.ReadAll(r)
				if _, again := r.Read(make([]byte, 1)); again != err {
					t.Errorf("the next Read = %v, want the same error", again)
				}
				if err := r.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error = %v, want %v, %q", err, c.is, c.says)
			}
			if errors.Is(err, fs.ErrExist) || strings.Contains(err.Error(), secret) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// A context that ends in the middle of a body ends the reading, without further requests.
func TestCancelledInTheBody(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var requests atomic.Int64
	b := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("01234"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	r, err := b.Get(ctx, "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v, want context.Canceled", err)
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1", requests.Load())
	}
}

func TestNegativeOffset(t *testing.T) {
	t.Parallel()
	b := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
	if _, err := b.Get(t.Context(), "x", -1, 1); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Get = %v, want fs.ErrInvalid", err)
	}
}
