package s3pipes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/metaxy-pipes/metaxy-pipes/internal/miniotest"
	"github.com/metaxy-pipes/metaxy-pipes/pipes"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/pipestest"
	"github.com/metaxy-pipes/metaxy-pipes/pipes/s3pipes"
)

var minio miniotest.Lazy

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m, &minio)) }

// newClient returns a client of a real MinIO, and an empty bucket.
func newClient(t *testing.T, secret string) (*s3.Client, string) {
	t.Helper()
	server, bucket := minio.Bucket(t)
	if secret == "" {
		secret = server.SecretAccessKey
	}
	return s3.New(s3.Options{
		BaseEndpoint: &server.Endpoint, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider(server.AccessKeyID, secret, ""),
	}), bucket
}

// given are parameters that are known beforehand.
type given struct{ bucket string }

func (g given) LoadParams() (contextParams, messagesParams json.RawMessage, err error) {
	return json.RawMessage(fmt.Sprintf(`{"bucket": %q, "key": "run/context.json"}`, g.bucket)),
		json.RawMessage(fmt.Sprintf(`{"bucket": %q, "key_prefix": "run/é m"}`, g.bucket)), nil
}

func TestSession(t *testing.T) {
	t.Parallel()
	client, bucket := newClient(t, "")
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("run/context.json"), Body: strings.NewReader(`{"run_id": "r"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	blobs := s3pipes.New(client)
	s, err := pipes.Open(t.Context(), &pipes.Options{Params: given{bucket}, Context: blobs, Messages: blobs})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Send(t.Context(), "x"), s.Close()); err != nil || s.Data().RunID != "r" {
		t.Fatalf("run %q, %v", s.Data().RunID, err)
	}
	var file bytes.Buffer
	for n := 1; ; n++ {
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String(fmt.Sprintf("run/é m/%d.json", n))})
		if err != nil {
			break
		}
		data, err := io.ReadAll(out.Body)
		if err := errors.Join(err, out.Body.Close()); err != nil {
			t.Fatal(err)
		}
		file.Write(append(data, '\n'))
	}
	messages, err := pipestest.Parse(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := pipestest.Check(messages); err != nil || len(messages) != 3 {
		t.Errorf("%d messages, %v", len(messages), err)
	}
}

func TestObjectsAreNotReplaced(t *testing.T) {
	t.Parallel()
	client, bucket := newClient(t, "")
	store := s3pipes.New(client).Store
	if err := store.Create(t.Context(), bucket, "k", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), bucket, "k", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want fs.ErrExist", err)
	}
	if data, err := store.Get(t.Context(), bucket, "k"); string(data) != "first" || err != nil {
		t.Errorf("Get: %q, %v", data, err)
	}
}

func TestRefusalsAreMarkedAndHaveNoSecrets(t *testing.T) {
	t.Parallel()
	client, bucket := newClient(t, "canary-secret")
	store := s3pipes.New(client).Store
	_, missing := s3pipes.New(client).Store.Get(t.Context(), bucket, "k")
	for _, err := range []error{missing, store.Create(t.Context(), bucket, "k", nil)} {
		if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "s3://"+bucket+"/k") || strings.Contains(err.Error(), "canary") {
			t.Errorf("error = %v, want one that is marked as refused and names the object", err)
		}
	}
}

// TestLargeContext reads a context of 100 MB from a real store, whole.
func TestLargeContext(t *testing.T) {
	client, bucket := newClient(t, "")
	large := strings.Repeat("0123456789", 10_000_000)
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("c"),
		Body: strings.NewReader(`{"run_id": "r", "extras": {"large": "` + large + `"}}`)})
	if err != nil {
		t.Fatal(err)
	}
	data, err := pipes.ReadContext(t.Context(), s3pipes.New(client).Store, bucket, "c")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(data.Extras["large"]); data.RunID != "r" || len(got) != len(large)+2 || got[1:len(got)-1] != large {
		t.Errorf("run %q with %d bytes", data.RunID, len(got))
	}
}

// fakeClient returns a client of a server.
func fakeClient(server *httptest.Server) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: &server.URL, UsePathStyle: true, Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("x", "canary-secret", "")})
}

// TestGiantContext names an object of 1 TB, which is refused unread and at once.
func TestGiantContext(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Length", "1099511627776")
		_, _ = io.WriteString(w, "{")
	}))
	defer server.Close()
	_, err := pipes.ReadContext(t.Context(), s3pipes.New(fakeClient(server)).Store, "b", "k")
	if !errors.Is(err, pipes.ErrRefused) || !strings.Contains(err.Error(), "s3://b/k") || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v, want an error that names the object and the bound", err)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests for an object that stays too large", n)
	}
}

// TestUnknownAuthority: a server that nobody vouches for gets no request, and the error says what to do. There is one
// connection for each call.
func TestUnknownAuthority(t *testing.T) {
	for name, value := range map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "canary-secret"} {
		t.Setenv(name, value)
	}
	var handshakes atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request got through") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			handshakes.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	store := s3pipes.New(nil).Store
	_, read := pipes.ReadContext(t.Context(), store, "b", "k")
	for _, err := range []error{read, store.Create(t.Context(), "b", "k", []byte("x"))} {
		if !errors.Is(err, pipes.ErrRefused) {
			t.Errorf("%v is not marked as refused", err)
		}
		for _, part := range []string{"s3://b/k", "certificate", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"} {
			if err != nil && (!strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "canary")) {
				t.Errorf("%v, want %q in it, and no secret", err, part)
			}
		}
	}
	if n := handshakes.Load(); n != 2 {
		t.Errorf("2 calls made %d connections", n)
	}
}
