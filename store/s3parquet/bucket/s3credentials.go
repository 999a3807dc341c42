package bucket

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// renewBefore is how long before their end credentials are renewed at least. Without it, requests would be refused that are
// sent just before, or by a clock that is a little slow.
const renewBefore = time.Minute

// renewEarly sets renewBefore, unless the source of the credentials wants to be asked earlier.
func renewEarly(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = max(o.ExpiryWindow, renewBefore) }

// A credentialSource gives credentials, and can be told that the service refuses them although their time is not over by our
// clock.
type credentialSource struct {
	cache   *aws.CredentialsCache
	expires atomic.Bool // what was given last has an end
}

// Retrieve implements aws.CredentialsProvider.
func (s *credentialSource) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := s.cache.Retrieve(ctx)
	if err == nil {
		s.expires.Store(c.CanExpire)
	}
	return c, err
}

// renew lets the next attempt ask for other credentials, and reports whether there can be others.
func (s *credentialSource) renew() bool {
	if s == nil || !s.expires.Load() {
		return false
	}
	s.cache.Invalidate()
	return true
}

// expired reports whether a service refuses credentials because their time is over: the first word is AWS's, with the last ones
// other services say that they know them no more.
func expired(err error) bool {
	return slices.Contains([]string{"ExpiredToken", "TokenRefreshRequired", "InvalidTokenId", "InvalidAccessKeyId"}, errorCode(err))
}

// credentialAdvice says what to do about an error of a source of credentials. It repeats nothing of the error's text: a
// source may have answered with anything, such as the secret that it was asked with.
func credentialAdvice(err error) string {
	advice := "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
	for _, source := range []struct{ sign, advice string }{
		{"operation error SSO", "log in again with aws sso login"},
		{"SSO session", "log in again with aws sso login"},
		{"operation error STS", "check the role, and that its policy trusts who asks for it"},
		{"process provider error", "run the credential_process of the profile to see what is wrong"},
		{"EC2 IMDS", advice + " (the metadata service of the machine gives none)"},
	} {
		if strings.Contains(err.Error(), source.sign) {
			advice = source.advice
			break
		}
	}
	return advice
}
