package s3pipes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
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
