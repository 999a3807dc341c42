package bucket_test

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// secret is the secret key in tests of messages; none may show it.
const secret = "wJalrXUtnFEMI-secret"

func TestDeniedAndUnreachable(t *testing.T) {
	t.Parallel()
	server, name := minio.Bucket(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, c := range []struct {
		name, bucket string
		options      bucket.S3Options
		is           error
		says         []string
	}{
		{"wrong secret", name, bucket.S3Options{Endpoint: server.Endpoint, AccessKeyID: server.AccessKeyID, SecretAccessKey: secret},
			fs.ErrPermission, []string{name, server.Endpoint, "SignatureDoesNotMatch", "check the credentials"}},
		{"unknown key", name, bucket.S3Options{Endpoint: server.Endpoint, AccessKeyID: "nobody", SecretAccessKey: secret},
			fs.ErrPermission, []string{name, server.Endpoint, "InvalidAccessKeyId", "check the credentials"}},
		{"no bucket", "nowhere", bucket.S3Options{Endpoint: server.Endpoint, AccessKeyID: server.AccessKeyID, SecretAccessKey: server.SecretAccessKey},
			nil, []string{`no bucket "nowhere"`, server.Endpoint, "create it"}},
		{"unreachable", name, bucket.S3Options{Endpoint: closed.URL, AccessKeyID: "x", SecretAccessKey: secret},
			nil, []string{closed.URL, "cannot reach", "check the endpoint"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := bucket.OpenS3(t.Context(), c.bucket, "p", c.options)
			if err != nil {
				t.Fatal(err)
			}
			errs := everyCall(t, b)
			for op, err := range errs {
				if err == nil || c.is != nil && !errors.Is(err, c.is) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s = %v, want an error that is %v", op, err, c.is)
					continue
				}
				for _, part := range c.says {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s = %q, want %q in it", op, err, part)
					}
				}
				if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), server.SecretAccessKey) {
					t.Errorf("%s = %q shows a secret", op, err)
				}
			}
		})
	}
}

// everyCall returns the error of each call, made at the same time because failing takes its time.
func everyCall(t *testing.T, b bucket.Bucket) map[string]error {
	calls := map[string]func() error{
		"Get":    func() error { _, err := b.Get(t.Context(), "x", 0, -1); return err },
		"Put":    func() error { _, err := b.Put(t.Context(), "x", strings.NewReader("x")); return err },
		"Create": func() error { return b.Create(t.Context(), "x", nil) },
		"Delete": func() error { return b.Delete(t.Context(), "x") },
		"List": func() error {
			for _, err := range b.List(t.Context(), "", "") {
				return err
			}
			return nil
		},
	}
	errs := map[string]error{}
	var lock sync.Mutex
	var group sync.WaitGroup
	for op, call := range calls {
		group.Go(func() {
			err := call()
			lock.Lock()
			defer lock.Unlock()
			errs[op] = err
		})
	}
	group.Wait()
	return errs
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ location, endpoint, says string }{
		{"s3://", "", "s3://bucket/prefix"},
		{"s3://key:" + secret + "@bucket/p", "", "without credentials"},
		{"s3://bucket/p?secret_access_key=" + secret, "", "without credentials and parameters"},
		{"s3://bucket/p#" + secret, "", "without credentials and parameters"},
		{"gopher://user:" + secret + "@host/x?token=" + secret, "", `scheme "gopher" is not supported`},
		{"s3://b/a/../c", "", "not a valid prefix"},
		{"s3://b", "minio:9000", "is not a URL"},
		{"s3://b", "http://key:" + secret + "@127.0.0.1:9000", "must not hold credentials"},
		{"s3://b", "http://minio.example.org:9000", "AWS_ALLOW_HTTP=true"},
		{"", "", "not a path"},
	} {
		_, err := bucket.Open(t.Context(), c.location, bucket.S3Options{Endpoint: c.endpoint, Region: "us-east-1", AccessKeyID: "x", SecretAccessKey: "y"})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), secret) {
			t.Errorf("Open(%q) on %q = %v, want %q and no secret", c.location, c.endpoint, err, c.says)
		}
	}
	if _, err := bucket.Open(t.Context(), "s3://b", bucket.S3Options{Endpoint: "http://minio.example.org:9000", AllowHTTP: true}); err != nil {
		t.Errorf("Open with AllowHTTP: %v", err)
	}
}

func TestURIOnS3(t *testing.T) {
	t.Parallel()
	b := openS3(t, "p")
	if got, want := b.URI("a/b"), "/p/a/b"; !strings.HasPrefix(got, "s3://test-") || !strings.HasSuffix(got, want) {
		t.Errorf("URI = %q, want one that ends with %q", got, want)
	}
}
