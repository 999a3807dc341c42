package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// attempts is how often a request is sent before its error is returned: the first time, and again after server
// errors, throttling and broken connections, with growing random pauses of up to maxPause.
const (
	attempts = 5
	maxPause = 5 * time.Second
)

// An S3 is a Bucket under a prefix of a bucket on S3, MinIO, R2 or another service that speaks S3 and has
// conditional writes (If-None-Match).
type S3 struct {
	name     string // of the bucket
	prefix   string // "" or ends with "/"
	endpoint string // for messages; "" means AWS
	client   *s3.Client
	blob     *blob.Bucket
}

var _ Bucket = (*S3)(nil)

// OpenS3 returns the bucket under a prefix of the named S3 bucket. It sends no request.
func OpenS3(ctx context.Context, name, prefix string, o S3Options) (*S3, error) {
	prefix = strings.Trim(prefix, "/")
	where := "s3://" + name + "/" + prefix
	if name == "" || strings.ContainsAny(name, "@:?#") {
		return nil, errors.New("open store: the location must be s3://bucket/prefix, without credentials and parameters")
	}
	if prefix != "" {
		if CheckName(prefix) != nil {
			return nil, fmt.Errorf("open store %q: not a valid prefix", where)
		}
		prefix += "/"
	}
	client, err := newClient(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", where, err)
	}
	// Not every service knows the newer checksums that the SDK adds by itself.
	b, err := s3blob.OpenBucket(ctx, client, name, &s3blob.Options{
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	})
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", where, err)
	}
	endpoint := withoutSecrets(aws.ToString(client.Options().BaseEndpoint))
	return &S3{name: name, prefix: prefix, endpoint: endpoint, client: client, blob: b}, nil
}

// newClient returns the client that the options and the usual AWS sources describe.
func newClient(ctx context.Context, o S3Options) (*s3.Client, error) {
	load := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.NewStandard(func(s *retry.StandardOptions) { s.MaxAttempts, s.MaxBackoff = attempts, maxPause })
		}),
	}
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.AccessKeyID != "" {
		load = append(load, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(o.AccessKeyID, o.SecretAccessKey, o.SessionToken)))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, fmt.Errorf("read AWS configuration: %w", err)
	}
	client := s3.NewFromConfig(cfg, func(c *s3.Options) {
		if o.Endpoint != "" {
			c.BaseEndpoint = aws.String(o.Endpoint)
		}
		custom := c.BaseEndpoint != nil
		c.UsePathStyle = custom
		if o.PathStyle != nil {
			c.UsePathStyle = *o.PathStyle
		}
		if c.Region == "" && custom {
			c.Region = "us-east-1"
		}
		c.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		c.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		c.DisableLogOutputChecksumValidationSkipped = true
	})
	if client.Options().Region == "" {
		return nil, errors.New("no AWS region: set AWS_REGION, or the region of the store")
	}
	return client, checkEndpoint(aws.ToString(client.Options().BaseEndpoint), o.AllowHTTP)
}

// checkEndpoint refuses what is no URL of a service, and to send data in the clear to another machine unasked.
func checkEndpoint(endpoint string, allowHTTP bool) error {
	if endpoint == "" {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("endpoint %q is not a URL such as https://minio.example.org:9000", withoutSecrets(endpoint))
	}
	if u.User != nil {
		return fmt.Errorf("endpoint %q must not hold credentials; set them as access key and secret key",
			withoutSecrets(endpoint))
	}
	if set, _ := strconv.ParseBool(os.Getenv("AWS_ALLOW_HTTP")); u.Scheme == "https" || allowHTTP || set {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("endpoint %q has no TLS: use https, or allow http by AWS_ALLOW_HTTP=true", withoutSecrets(endpoint))
}

// URI implements Bucket.
func (b *S3) URI(name string) string {
	return strings.TrimSuffix("s3://"+b.name+"/"+b.prefix+name, "/")
}

// Close implements Bucket.
func (b *S3) Close() error { return b.blob.Close() }

// key returns the key of an object. The object layer would write some names as keys of another form, "__0x2f__" for a
// slash, by which no other program finds the object: names with control characters, with a part that ends in "..",
// or with such a form in them already. They are refused.
func (b *S3) key(op, name string) (string, error) {
	control := strings.ContainsFunc(name, func(r rune) bool { return r < 32 })
	if CheckName(name) != nil || control || strings.Contains(name, "../") || strings.Contains(name, "__0x") {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return b.prefix + name, nil
}

// Get implements Bucket.
func (b *S3) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	key, err := b.key("get", name)
	if err != nil {
		return nil, err
	}
	r, err := b.blob.NewRangeReader(ctx, key, off, n, nil)
	if err == nil {
		return r, nil
	}
	if status(err) == http.StatusRequestedRangeNotSatisfiable { // the object ends before off
		return http.NoBody, nil
	}
	return nil, b.explain("get", name, err)
}

// Create implements Bucket. An answer that got lost is sent again by the client, which then finds the object that it
// has itself written: ErrExist may mean that this very call has succeeded.
func (b *S3) Create(ctx context.Context, name string, body []byte) error {
	key, err := b.key("create", name)
	if err != nil {
		return err
	}
	o := &blob.WriterOptions{IfNotExist: true, ContentType: "application/octet-stream"}
	for try := 0; ; try++ {
		err = b.blob.Upload(ctx, key, bytes.NewReader(body), o)
		// 409: another conditional write of the same key is under way, and neither has won yet.
		if status(err) != http.StatusConflict || try == attempts {
			break
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	if err != nil {
		return b.explain("create", name, err)
	}
	return nil
}

// Put implements Bucket. A large body is sent in parts; they become an object when all are there.
func (b *S3) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	key, err := b.key("put", name)
	if err != nil {
		return 0, err
	}
	counted := &countingReader{r: body}
	err = b.blob.Upload(ctx, key, counted, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return 0, b.explain("put", name, err)
	}
	return counted.n, nil
}

// countingReader counts what is read through it. It hides other methods of its reader on purpose: a body is read once
// and from its beginning to its end.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// Delete implements Bucket.
func (b *S3) Delete(ctx context.Context, name string) error {
	key, err := b.key("delete", name)
	if err != nil {
		return err
	}
	_, err = b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	if err = b.explain("delete", name, err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements Bucket. It asks the client beneath the object layer, which has no way to start after a name and
// changes some names.
func (b *S3) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		in := &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(b.prefix + prefix)}
		if after != "" {
			in.StartAfter = aws.String(b.prefix + after)
		}
		for pages := s3.NewListObjectsV2Paginator(b.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, b.explain("list", prefix, err))
				return
			}
			for _, o := range page.Contents {
				name := strings.TrimPrefix(aws.ToString(o.Key), b.prefix)
				if CheckName(name) != nil {
					continue // no name of ours; such as the "folders" that some tools make
				}
				object := Object{Name: name, Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified),
					ETag: strings.Trim(aws.ToString(o.ETag), `"`)}
				if !yield(object, nil) {
					return
				}
			}
		}
	}
}
