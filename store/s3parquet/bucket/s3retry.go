package bucket

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// attempts is how often a request is sent before its error is returned: the first time, and again after server
// errors, throttling and broken connections, with growing random pauses of up to maxPause. As long as the service has
// not answered once, its address may be wrong: then there are firstAttempts only, so that the user soon knows.
const (
	attempts      = 5
	firstAttempts = 3
	maxPause      = 5 * time.Second
)

// dialTimeout is how long a connection may take to be made.
const dialTimeout = 5 * time.Second

// A retryer decides which requests are sent again.
type retryer struct {
	*retry.Standard
	reached *atomic.Bool // the service has answered something
	renew   func() bool  // gets other credentials, if there are any
	failed  atomic.Int32 // attempts that did not get to the service while it was not reached
}

// newRetryer returns what makes a retryer for each client; all know whether the service was reached. When credentials have
// expired, it asks renew for others.
func newRetryer(renew func() bool) func() aws.Retryer {
	reached := &atomic.Bool{}
	return func() aws.Retryer {
		return &retryer{reached: reached, renew: renew, Standard: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, maxPause
		})}
	}
}

// IsErrorRetryable implements aws.Retryer.
func (r *retryer) IsErrorRetryable(err error) bool {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) { // the next attempt would see the same certificate
		return false
	}
	var dial *net.OpError
	if !r.reached.Load() && errors.As(err, &dial) && dial.Op == "dial" {
		return !dial.Timeout() && r.failed.Add(1) < firstAttempts
	}
	return expired(err) && r.renew() || r.Standard.IsErrorRetryable(err)
}

// GetAttemptToken implements aws.RetryerV2. What it returns is called with the outcome of the attempt.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	release, err := r.Standard.GetAttemptToken(ctx)
	if err != nil {
		return nil, err
	}
	return func(outcome error) error {
		if outcome == nil || status(outcome) != 0 {
			r.reached.Store(true)
		}
		return release(outcome)
	}, nil
}
