package bucket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// status is the HTTP status that an error of the client stands for, or 0.
func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// codeNoSuchUpload is the service's word for an upload in parts that is done, taken back or never was.
const codeNoSuchUpload = "NoSuchUpload"

// errorCode is the service's word for an error, or "".
func errorCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// explain turns an error of the client into one of a Bucket. It keeps the service's own code and nothing of the
// request, so that no secret gets into a message.
func (b *S3) explain(op, name string, err error) error {
	if err == nil {
		return nil
	}
	pathError := func(err error) error { return &fs.PathError{Op: op, Path: b.URI(name), Err: err} }
	code := errorCode(err)
	switch http := status(err); {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return pathError(contextError(err))
	case strings.Contains(err.Error(), "get credentials"): // with a status of who was asked for them
		return pathError(fmt.Errorf("%w: no usable AWS credentials for bucket %q at %s: %s", fs.ErrPermission, b.name, b.service(),
			credentialAdvice(err)))
	case code == "NoSuchBucket":
		return fmt.Errorf("%s %s: there is no bucket %q at %s: create it, or correct the store's location",
			op, b.URI(name), b.name, b.service())
	case code == "PreconditionFailed" || http == 412:
		return pathError(fs.ErrExist)
	case op == "list" && http == 404: // a listing without objects is empty, and not missing
		return pathError(fmt.Errorf("%s answers 404 %s to the listing of bucket %q: check the endpoint", b.service(), code, b.name))
	case code == "NoSuchKey" || code == "NotFound" || http == 404 && code != codeNoSuchUpload:
		return pathError(fs.ErrNotExist)
	case code == "RequestTimeTooSkewed":
		return pathError(fmt.Errorf("%w: bucket %q at %s answers %s: check the clock of this machine, which is too far from "+
			"the service's", fs.ErrPermission, b.name, b.service(), code))
	case http == 401 || http == 403 || http == 400 && expired(err):
		return pathError(fmt.Errorf("%w: bucket %q at %s answers %s: check the credentials, their expiry, and that they "+
			"allow %s", fs.ErrPermission, b.name, b.service(), code, actionOf(op)))
	case http == 301 || http == 307 || code == "AuthorizationHeaderMalformed":
		return pathError(fmt.Errorf("bucket %q is not in this region at %s (%s): set AWS_REGION to the bucket's region",
			b.name, b.service(), code))
	case http != 0:
		return pathError(fmt.Errorf("bucket %q at %s answers %d %s", b.name, b.service(), http, code))
	}
	return pathError(b.explainSilence(err))
}

// actionOf names what a policy has to allow for an operation.
func actionOf(op string) string {
	switch op {
	case "list":
		return "s3:ListBucket"
	case "list uploads":
		return "s3:ListBucketMultipartUploads"
	case "abort":
		return "s3:AbortMultipartUpload"
	case "get":
		return "s3:GetObject"
	case "delete":
		return "s3:DeleteObject"
	}
	return "s3:PutObject"
}

// explainSilence is explain for errors without an answer of the service.
func (b *S3) explainSilence(err error) error {
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fmt.Errorf("%s is not whom it says it is: %w: check the endpoint; if an authority of your own vouches for it, "+
			"name the file of its certificate in AWS_CA_BUNDLE", b.service(), untrusted)
	}
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		cause := send.Err
		var request *url.Error // its text has the request's URL, which says nothing new
		if errors.As(cause, &request) {
			cause = request.Err
		}
		return fmt.Errorf("cannot reach %s: %w: check the endpoint and the network", b.service(), cause)
	}
	return fmt.Errorf("request to bucket %q at %s: %w", b.name, b.service(), err)
}

// service names the endpoint in messages.
func (b *S3) service() string {
	if b.endpoint == "" {
		return "AWS S3"
	}
	return b.endpoint
}

// contextError returns the context's own error, without what the client has put around it.
func contextError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// pause waits a random time that grows with each try: at most 50 ms, 100 ms, 200 ms and so on.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(rand.N(50 * time.Millisecond << min(try, 6)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
