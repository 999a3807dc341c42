package bucket_test

import (
	"encoding/pem"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// TestUnknownAuthority has MinIO behind TLS with a certificate that nobody vouches for. Not a request gets through until
// AWS_CA_BUNDLE names it.
func TestUnknownAuthority(t *testing.T) {
	server, name := minio.Bucket(t)
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var handshakes, requests atomic.Int32
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		forward.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = log.New(counter{&handshakes}, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	options := bucket.S3Options{Endpoint: front.URL, Region: "us-east-1", AccessKeyID: server.AccessKeyID, SecretAccessKey: server.SecretAccessKey}

	b, err := bucket.OpenS3(t.Context(), name, "p", options)
	if err != nil {
		t.Fatal(err)
	}
	for op, err := range everyCall(t, b) {
		if err == nil {
			t.Fatalf("%s goes through to a server that nobody vouches for", op)
		}
		for _, part := range []string{front.URL, "certificate", "check the endpoint", "AWS_CA_BUNDLE"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s = %q, want %q in it", op, err, part)
			}
		}
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests, which are signed, got to the server", n)
	}
	if n := handshakes.Load(); n > 5 {
		t.Errorf("5 calls made %d connections; a certificate does not change meanwhile", n)
	}

	authority := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", authority)
	if b, err = bucket.OpenS3(t.Context(), name, "p", options); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "x", []byte("y")); err != nil {
		t.Errorf("with the authority's certificate: %v", err)
	}
	if requests.Load() == 0 {
		t.Error("the request went elsewhere")
	}

	options.Endpoint = strings.Replace(front.URL, "127.0.0.1", "localhost", 1) // not a name in the certificate
	if b, err = bucket.OpenS3(t.Context(), name, "p", options); err != nil {
		t.Fatal(err)
	}
	if err := b.Create(t.Context(), "z", nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate for another host: %v", err)
	}
}

// TestBadAuthorityFile names a file that holds no certificate.
func TestBadAuthorityFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	for _, text := range []string{"", "no certificate"} {
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("AWS_CA_BUNDLE", file)
		_, err := bucket.OpenS3(t.Context(), "b", "p", bucket.S3Options{Region: "us-east-1", AccessKeyID: "x", SecretAccessKey: secret})
		if err == nil || !strings.Contains(err.Error(), "AWS_CA_BUNDLE") || strings.Contains(err.Error(), secret) {
			t.Errorf("a file with %q: %v, want AWS_CA_BUNDLE in it", text, err)
		}
	}
}

// counter counts lines.
type counter struct{ n *atomic.Int32 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(1)
	return len(p), nil
}
