package bucket

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type timeout struct{}

func (timeout) Error() string { return "i/o timeout" }
func (timeout) Timeout() bool { return true }

// TestRetries shows how often a service is tried that has never answered, and that the patience is longer once it has.
func TestRetries(t *testing.T) {
	t.Parallel()
	dial := func(cause error) error {
		return fmt.Errorf("list: %w", &smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Err: cause}})
	}
	refused, slow := dial(errors.New("connection refused")), dial(timeout{})
	another := newRetryer(func() bool { return false })
	r := another().(aws.RetryerV2)
	tries := 1
	for r.IsErrorRetryable(refused) {
		tries++
	}
	if tries != firstAttempts {
		t.Errorf("a service that was never reached is tried %d times, want %d", tries, firstAttempts)
	}
	if another().IsErrorRetryable(slow) {
		t.Error("a connection that takes too long is tried again, although the service was never reached")
	}
	release, err := another().(aws.RetryerV2).GetAttemptToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := release(nil); err != nil {
		t.Fatal(err)
	}
	for range attempts {
		if !r.IsErrorRetryable(refused) || !r.IsErrorRetryable(slow) {
			t.Error("a service that has answered, to any client, is given up at the first broken connection")
		}
	}
}

// TestUnreachable opens a port on which nobody listens: the error comes soon, and says what to do.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	err = listFirst(t, "http://"+l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "cannot reach http://"+l.Addr().String()) ||
		!strings.HasSuffix(err.Error(), "check the endpoint and the network") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > 9*time.Second {
		t.Errorf("the error took %s", took)
	}
}

// TestNoService lists what is a web server, but no object store.
func TestNoService(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	if err := listFirst(t, server.URL); err == nil || !strings.Contains(err.Error(), server.URL+" answers 404") {
		t.Errorf("got %v", err)
	}
}

func listFirst(t *testing.T, endpoint string) error {
	t.Helper()
	b, err := Open(t.Context(), "s3://bucket/x", S3Options{
		Endpoint: endpoint, Region: "us-east-1", AccessKeyID: "id", SecretAccessKey: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range b.List(t.Context(), "", "") {
		return err
	}
	return nil
}
