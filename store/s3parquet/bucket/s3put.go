package bucket

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// A body of up to partSize bytes is sent in one request, a longer one in parts of that size, partsAtOnce at the same
// time. A Put holds the first part (twice while it grows), and a buffer for each part that is on its way and for the
// next one: less than 50 MiB, however long the body. S3 takes 10,000 parts, so a body may have 78 GiB.
const (
	partSize    = 8 << 20
	partsAtOnce = 3
)

// abortTimeout is how long an upload that has failed tries to take back its parts.
const abortTimeout = 10 * time.Second

// contentType is what objects are served as.
const contentType = "application/octet-stream"

// newUploads returns what sends bodies of unknown length.
func newUploads(client *s3.Client) *transfermanager.Client {
	return transfermanager.New(uploadClient{client}, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = partSize, partSize
		o.Concurrency = partsAtOnce
		o.FailTimeout = abortTimeout
		o.RequestChecksumCalculation = client.Options().RequestChecksumCalculation
	})
}

// Create implements Bucket. An answer that got lost is sent again by the client, which then finds the object that it
// has itself written: ErrExist may mean that this very call has succeeded.
func (b *S3) Create(ctx context.Context, name string, body []byte) error {
	key, err := b.key("create", name)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		_, err = b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: key, Body: bytes.NewReader(body),
			IfNoneMatch: aws.String("*"), ContentType: aws.String(contentType)})
		// 409: another conditional write of the same key is under way, and neither has won yet.
		if status(err) != http.StatusConflict || try == attempts {
			return b.explain("create", name, err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// Put implements Bucket. A large body is sent in parts; they become an object when all are there, and are deleted
// when the body breaks off or the context ends. Parts that a killed process leaves behind are no object and in no
// listing; a lifecycle rule of the bucket (AbortIncompleteMultipartUpload) removes them.
func (b *S3) Put(ctx context.Context, name string, body io.Reader) (int64, error) {
	key, err := b.key("put", name)
	if err != nil {
		return 0, err
	}
	read := &bodyReader{r: body}
	_, err = b.uploads.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: &b.name, Key: key, Body: read, ContentType: aws.String(contentType)})
	switch {
	case err == nil:
		return read.n, nil
	case read.err != nil:
		return 0, &fs.PathError{Op: "put", Path: b.URI(name), Err: fmt.Errorf("read body: %w", read.err)}
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return 0, b.explain("put", name, err)
}

// bodyReader counts what is read through it and keeps the error. It hides other methods of its reader on purpose: a
// body is read once and from its beginning to its end.
type bodyReader struct {
	r   io.Reader
	n   int64
	err error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// An uploadClient is the client beneath uploads in parts. When the answer to the last request of an upload gets lost,
// the client sends that request again, and a service may then say that it knows no such upload, because it is done.
type uploadClient struct{ *s3.Client }

// CompleteMultipartUpload completes an upload, and succeeds as well if that has happened already.
func (c uploadClient) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput,
	o ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error) {
	out, err := c.Client.CompleteMultipartUpload(ctx, in, o...)
	if errorCode(err) != codeNoSuchUpload {
		return out, err
	}
	head, headErr := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key})
	if headErr != nil || aws.ToString(head.ETag) != etagOfParts(in.MultipartUpload.Parts) {
		return nil, err
	}
	return &s3.CompleteMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, ETag: head.ETag}, nil
}

// etagOfParts is the ETag that S3 gives an object made of parts. It is empty if a part's own has another form, as
// with some kinds of encryption.
func etagOfParts(parts []types.CompletedPart) string {
	all := md5.New()
	for _, p := range parts {
		sum, err := hex.DecodeString(strings.Trim(aws.ToString(p.ETag), `"`))
		if err != nil {
			return ""
		}
		all.Write(sum)
	}
	return fmt.Sprintf(`"%x-%d"`, all.Sum(nil), len(parts))
}

var _ transfermanager.S3APIClient = uploadClient{}
