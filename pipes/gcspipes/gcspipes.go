// Package gcspipes has the Pipes context and channel on Google Cloud Storage:
//
//	opts := &pipes.Options{Context: gcspipes.New(nil), Messages: gcspipes.New(nil)}
//
// On the side of Dagster belong PipesGCSContextInjector and PipesGCSMessageReader of dagster-gcp. A launcher without GCS
// works too: payloads without a bucket are left to the defaults of package pipes. The package makes its two kinds of
// request by itself, since Google's client library would bring gRPC and 20 MB into the program.
package gcspipes

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"golang.org/x/oauth2/google"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

const (
	service = "https://storage.googleapis.com"
	scope   = "https://www.googleapis.com/auth/devstorage.read_write"
)

// New returns the context and the channel on Google Cloud Storage. The client has to authorize its requests; nil means
// one with the application's default credentials (GOOGLE_APPLICATION_CREDENTIALS, the account of a pod or an instance),
// or without any for the emulator that STORAGE_EMULATOR_HOST names. It is made when the first object is asked for, so
// that a program without Dagster needs no credentials.
func New(client *http.Client) pipes.Blobs {
	return pipes.Blobs{Store: &store{client: client}}
}

// store implements [pipes.BlobStore] by the JSON interface of the service.
type store struct {
	mu     sync.Mutex
	client *http.Client
}

// endpoint returns where the service is, without a slash at the end, and whether that is an emulator.
func endpoint() (base string, emulator bool) {
	host := strings.TrimSuffix(os.Getenv("STORAGE_EMULATOR_HOST"), "/")
	if host == "" {
		return service, false
	}
	if !strings.Contains(host, "://") {
		host = "http://" + host
	}
	return host, true
}

// authorized returns the client, which is made now if there is none.
func (s *store) authorized(ctx context.Context) (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		return s.client, nil
	}
	if _, emulator := endpoint(); emulator {
		s.client = http.DefaultClient
		return s.client, nil
	}
	client, err := google.DefaultClient(context.WithoutCancel(ctx), scope)
	if err != nil {
		return nil, fmt.Errorf("%w: find Google credentials: %w", pipes.ErrRefused, err)
	}
	s.client = client
	return client, nil
}

// Get implements [pipes.BlobStore].
func (s *store) Get(ctx context.Context, bucket, key string) ([]byte, error) {
	base, _ := endpoint()
	object := base + "/storage/v1/b/" + url.PathEscape(bucket) + "/o/" + url.PathEscape(key) + "?alt=media"
	return s.request(ctx, "read", bucket, key, http.MethodGet, object, nil)
}

// Create implements [pipes.BlobStore].
func (s *store) Create(ctx context.Context, bucket, key string, data []byte) error {
	base, _ := endpoint()
	query := url.Values{"uploadType": {"media"}, "name": {key}, "ifGenerationMatch": {"0"}} // 0: there is none yet
	object := base + "/upload/storage/v1/b/" + url.PathEscape(bucket) + "/o?" + query.Encode()
	_, err := s.request(ctx, "write", bucket, key, http.MethodPost, object, data)
	return err
}

// request makes a request about an object and returns the answer.
func (s *store) request(ctx context.Context, verb, bucket, key, method, address string, body []byte) (answer []byte, err error) {
	client, err := s.authorized(ctx)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	place := "gs://" + bucket + "/" + key
	response, err := client.Do(request)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted): // the next attempt would see the same certificate
		return nil, fmt.Errorf("%w: %s %s: %s is not whom it says it is: %w: if an authority of your own vouches for it, name the "+
			"file of its certificate in SSL_CERT_FILE", pipes.ErrRefused, verb, place, request.URL.Host, untrusted)
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", verb, place, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	answer, err = pipes.ReadBlob(response.Body, response.ContentLength)
	switch {
	case response.StatusCode == http.StatusOK && err != nil:
		return nil, fmt.Errorf("%s %s: %w", verb, place, err)
	case response.StatusCode == http.StatusOK:
		return answer, nil
	case response.StatusCode == http.StatusPreconditionFailed:
		return nil, &fs.PathError{Op: verb, Path: place, Err: fs.ErrExist}
	}
	err = fmt.Errorf("%s %s: %s: %s", verb, place, response.Status, reason(answer))
	switch response.StatusCode {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		err = fmt.Errorf("%w: %w", pipes.ErrRefused, err)
	}
	return nil, err
}

// reason returns what an error's answer says.
func reason(answer []byte) string {
	var a struct {
		Error struct{ Message string }
	}
	if json.Unmarshal(answer, &a) == nil && a.Error.Message != "" {
		return a.Error.Message
	}
	return string(answer[:min(len(answer), 200)])
}
