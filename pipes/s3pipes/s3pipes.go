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
	"errors"
	"fmt"
	"io"
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
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		})
		if s.client.Options().Region == "" {
			s.err = fmt.Errorf("%w: no AWS region: set AWS_REGION", pipes.ErrRefused)
		}
	})
	return s.client, s.err
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
	return io.ReadAll(out.Body)
}

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
	if status(err) == http.StatusPreconditionFailed {
		return &fs.PathError{Op: verb, Path: "s3://" + bucket + "/" + key, Err: fs.ErrExist}
	}
	text := err.Error()
	var api smithy.APIError
	if errors.As(err, &api) {
		text = api.ErrorCode() + ": " + api.ErrorMessage()
	}
	place := "s3://" + bucket + "/" + key
	switch status(err) {
	case http.StatusMovedPermanently, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: %s %s: %s", pipes.ErrRefused, verb, place, text)
	}
	return fmt.Errorf("%s %s: %s", verb, place, text)
}
