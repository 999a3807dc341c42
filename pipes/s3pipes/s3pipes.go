// Package s3pipes has the Pipes context and channel on S3, and on services that speak S3:
//
//	opts := &pipes.Options{Context: s3pipes.New(nil), Messages: s3pipes.New(nil)}
//
// On the side of Dagster belong PipesS3ContextInjector and PipesS3MessageReader of dagster-aws. The program needs the
// permissions s3:GetObject and s3:PutObject below the prefixes that they use. A launcher without S3 works too: payloads
// without a bucket are left to the defaults of package pipes.
package s3pipes

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/metaxy-pipes/metaxy-pipes/pipes"
)

// New returns the context and the channel on S3. A nil client means one that the usual AWS sources describe
// (environment, shared configuration, roles of pods and instances); it is made when the first object is asked for, so
// that a program without Dagster needs no credentials. With AWS_ENDPOINT_URL buckets are addressed by path.
func New(client *s3.Client) pipes.Blobs {
	s := &store{client: client}
	if client != nil {
		s.once.Do(func() {})
	}
	return pipes.Blobs{Store: s}
}

// store implements [pipes.BlobStore].
type store struct {
	once   sync.Once
	client *s3.Client
	err    error
}

// get returns the client, which is made now if there is none.
func (s *store) get(ctx context.Context) (*s3.Client, error) {
	s.once.Do(func() {
		cfg, err := config.LoadDefaultConfig(context.WithoutCancel(ctx), config.WithLogger(logging.Nop{}))
		if err != nil {
			s.err = fmt.Errorf("%w: read AWS configuration: %w", pipes.ErrRefused, err)
			return
		}
		s.client = s3.NewFromConfig(cfg, func(o *s3.Options) {
			custom := o.BaseEndpoint != nil
			o.UsePathStyle = custom
			if o.Region == "" && custom {
				o.Region = "us-east-1"
			}
			// Not every service knows the newer checksums that the SDK adds by itself.
			if standard, ok := o.Retryer.(aws.RetryerV2); ok {
				o.Retryer = retryer{standard}
			}
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		})
		if s.client.Options().Region == "" {
			s.err = fmt.Errorf("%w: no AWS region: set AWS_REGION", pipes.ErrRefused)
		}
	})
	return s.client, s.err
}

// A retryer is the client's own, which does not send again what a server with a wrong certificate did not get: the next
// attempt would see the same one.
type retryer struct{ aws.RetryerV2 }

// IsErrorRetryable implements aws.Retryer.
func (r retryer) IsErrorRetryable(err error) bool {
	var untrusted *tls.CertificateVerificationError
	return !errors.As(err, &untrusted) && r.RetryerV2.IsErrorRetryable(err)
}

// Get implements [pipes.BlobStore].
func (s *store) Get(ctx context.Context, bucket, key string) (data []byte, err error) {
	client, err := s.get(ctx)
	if err != nil {
		return nil, err
	}
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, explain("read", bucket, key, err)
	}
	defer func() { err = errors.Join(err, out.Body.Close()) }()
	data, err = pipes.ReadBlob(out.Body, aws.ToInt64(out.ContentLength))
	if err != nil {
		err = fmt.Errorf("read %s: %w", place(bucket, key), err)
	}
	return data, err
}

// place is an object's address.
func place(bucket, key string) string { return "s3://" + bucket + "/" + key }

// Create implements [pipes.BlobStore] by a conditional write, or by a plain one if the service knows no other.
func (s *store) Create(ctx context.Context, bucket, key string, data []byte) error {
	client, err := s.get(ctx)
	if err != nil {
		return err
	}
	in := s3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: aws.String("application/json"),
		IfNoneMatch: aws.String("*"), Body: bytes.NewReader(data)}
	_, err = client.PutObject(ctx, &in)
	if status(err) == http.StatusNotImplemented {
		in.IfNoneMatch, in.Body = nil, bytes.NewReader(data)
		_, err = client.PutObject(ctx, &in)
	}
	return explain("write", bucket, key, err)
}

// status returns the HTTP status of an error's response, 0 if it has none.
func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// explain says which object an error is about, and what kind of error it is.
func explain(verb, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	place := place(bucket, key)
	if status(err) == http.StatusPreconditionFailed {
		return &fs.PathError{Op: verb, Path: place, Err: fs.ErrExist}
	}
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return fmt.Errorf("%w: %s %s: the service is not whom it says it is: %w: check AWS_ENDPOINT_URL; if an authority of your "+
			"own vouches for it, name the file of its certificate in AWS_CA_BUNDLE", pipes.ErrRefused, verb, place, untrusted)
	}
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = api.ErrorCode() + ": " + api.ErrorMessage()
	}
	switch status(err) {
	case http.StatusMovedPermanently, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: %s %s: %s", pipes.ErrRefused, verb, place, text)
	}
	return fmt.Errorf("%s %s: %s", verb, place, text)
}
