package bucket

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
)

// TestRefusedCredentialsAreRenewed shows which refusals make a request ask for other credentials and go out again.
func TestRefusedCredentialsAreRenewed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code    string
		expires bool
		again   bool
	}{
		{"ExpiredToken", true, true},
		{"InvalidAccessKeyId", true, true},
		{"ExpiredToken", false, false}, // nobody could give others
		{"AccessDenied", true, false},  // others would be refused as well
	} {
		asked := 0
		source := &credentialSource{cache: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			asked++
			return aws.Credentials{AccessKeyID: "k", SecretAccessKey: "s", CanExpire: c.expires, Expires: time.Now().Add(time.Hour)}, nil
		}), renewEarly)}
		request := func() {
			if _, err := source.Retrieve(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		request()
		request()
		refusal := fmt.Errorf("put: %w", &smithy.GenericAPIError{Code: c.code})
		if got := newRetryer(source.renew)().IsErrorRetryable(refusal); got != c.again {
			t.Errorf("after %s the request goes out again: %v", c.code, got)
		}
		request()
		if want := map[bool]int{false: 1, true: 2}[c.again]; asked != want {
			t.Errorf("after %s the source was asked %d times, want %d", c.code, asked, want)
		}
	}
	if (*credentialSource)(nil).renew() {
		t.Error("there are others before there are any")
	}
	if expired(errors.New("ExpiredToken")) {
		t.Error("what no service has said is taken for its word")
	}
}
