package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// An S3 is a Bucket under a prefix of a bucket on S3, MinIO, R2 or another service that speaks S3 and has
// conditional writes (If-None-Match).
type S3 struct {
	name     string // of the bucket
	prefix   string // "" or ends with "/"
	endpoint string // for messages; "" means AWS
	client   *s3.Client
	uploads  *transfermanager.Client
	meter    *meter
}

var _ Metered = (*S3)(nil)

// OpenS3 returns the bucket under a prefix of the named S3 bucket. It sends no request.
func OpenS3(ctx context.Context, name, prefix string, o S3Options) (*S3, error) {
	prefix = strings.Trim(prefix, "/")
	where := "s3://" + name + "/" + prefix
	if name == "" || strings.ContainsAny(name, "@:?#") {
		return nil, errLocation
	}
	if prefix != "" {
		if CheckName(prefix) != nil {
			return nil, fmt.Errorf("open store %q: not a valid prefix", where)
		}
		prefix += "/"
	}
	m := &meter{}
	client, err := newClient(ctx, o, m)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", where, err)
	}
	endpoint := withoutSecrets(aws.ToString(client.Options().BaseEndpoint))
	return &S3{name: name, prefix: prefix, endpoint: endpoint, client: client, uploads: newUploads(client), meter: m}, nil
}

// URI implements Bucket.
func (b *S3) URI(name string) string {
	return strings.TrimSuffix("s3://"+b.name+"/"+b.prefix+name, "/")
}

// Close implements Bucket. There is nothing to do: connections that are not in use end by themselves.
func (b *S3) Close() error { return nil }

// key returns the key of an object: its name under the prefix, as it is.
func (b *S3) key(op, name string) (*string, error) {
	if CheckName(name) != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return aws.String(b.prefix + name), nil
}

// Delete implements Bucket.
func (b *S3) Delete(ctx context.Context, name string) error {
	key, err := b.key("delete", name)
	if err != nil {
		return err
	}
	_, err = b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: key})
	if err = b.explain("delete", name, err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements Bucket.
func (b *S3) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		// Keys come URL-encoded, because XML has no way to write control characters.
		in := &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(b.prefix + prefix), EncodingType: types.EncodingTypeUrl}
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
				object, err := b.object(o, page.EncodingType)
				if err == nil && CheckName(object.Name) != nil {
					continue // no name of ours; such as the "folders" that some tools make
				}
				if !yield(object, err) || err != nil {
					return
				}
			}
		}
	}
}

// object is an entry of a listing of the service. A service that does not know encodings answers without one.
func (b *S3) object(o types.Object, encoding types.EncodingType) (Object, error) {
	key := aws.ToString(o.Key)
	if encoding == types.EncodingTypeUrl {
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return Object{}, fmt.Errorf("list %s: key %q at %s: %w", b.URI(""), key, b.service(), err)
		}
		key = decoded
	}
	return Object{Name: strings.TrimPrefix(key, b.prefix), Size: aws.ToInt64(o.Size), ModTime: aws.ToTime(o.LastModified),
		ETag: strings.Trim(aws.ToString(o.ETag), `"`)}, nil
}
