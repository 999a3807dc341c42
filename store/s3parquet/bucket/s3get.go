package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// errChanged is the error of a read that cannot go on, because another object has taken the place of the one it began.
var errChanged = errors.New("the object was replaced while it was being read")

// Get implements Bucket. If the body breaks off or comes short, the reader asks for the rest of the same object: it
// ends with io.EOF only when it has returned everything.
func (b *S3) Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error) {
	key, err := b.key("get", name)
	if err != nil {
		return nil, err
	}
	if off < 0 {
		return nil, &fs.PathError{Op: "get", Path: b.URI(name), Err: fs.ErrInvalid}
	}
	r := &s3Reader{off: off, end: math.MaxInt64}
	if n >= 0 && n < math.MaxInt64-off {
		r.end = off + max(n, 1) // there is no empty range; a byte tells whether there is an object
	}
	r.get = func() (*s3.GetObjectOutput, error) {
		in := &s3.GetObjectInput{Bucket: &b.name, Key: key, IfMatch: r.etag, Range: byteRange(r.off, r.end)}
		return b.client.GetObject(ctx, in)
	}
	r.explain = func(err error) error { return b.explain("get", name, cmp.Or(ctx.Err(), err)) }
	r.wait = func(try int) error { return pause(ctx, try) }
	err = r.open()
	switch {
	case status(err) == http.StatusRequestedRangeNotSatisfiable: // the object ends before off
		return http.NoBody, nil
	case err != nil:
		return nil, r.explain(err)
	case n == 0:
		r.end = off
	}
	return r, nil
}

// byteRange is the header that asks for the bytes from off to before end, nil if that is everything.
func byteRange(off, end int64) *string {
	switch {
	case end < math.MaxInt64:
		return aws.String(fmt.Sprintf("bytes=%d-%d", off, end-1))
	case off > 0:
		return aws.String(fmt.Sprintf("bytes=%d-", off))
	}
	return nil
}

// An s3Reader reads a range of an object by as many requests as it takes; normally that is one.
type s3Reader struct {
	get     func() (*s3.GetObjectOutput, error) // asks for the bytes from off to end
	explain func(error) error
	wait    func(try int) error

	off, end int64         // what is still to be read; end is exact after the first answer
	etag     *string       // of the object, once it is known; nil if the service has none
	body     io.ReadCloser // nil after it broke
	broken   int           // how many answers in a row brought nothing
	err      error         // of the read that failed for good
}

// open sends a request and checks that its answer is what was asked for.
func (r *s3Reader) open() error {
	out, err := r.get()
	if err != nil {
		return err
	}
	end, err := extent(out, r.off)
	if err != nil {
		return errors.Join(err, out.Body.Close())
	}
	r.body, r.etag, r.end = out.Body, out.ETag, min(r.end, end)
	return nil
}

// extent returns where an object ends, of which an answer begins at off. Without a length a body that is cut off
// could not be told from a whole one.
func extent(out *s3.GetObjectOutput, off int64) (end int64, err error) {
	header := aws.ToString(out.ContentRange)
	switch {
	case header == "" && off > 0:
		return 0, errors.New("the service does not answer with the range that was asked for")
	case header == "" && out.ContentLength == nil:
		return 0, errors.New("the service does not say how long the object is")
	case header == "":
		return *out.ContentLength, nil
	}
	var first, last int64
	n, _ := fmt.Sscanf(header, "bytes %d-%d/%d", &first, &last, &end)
	if n != 3 || first != off || last < first || end <= last {
		return 0, fmt.Errorf("the service answers with range %q, want one from %d", header, off)
	}
	return end, nil
}

// Read implements io.Reader.
func (r *s3Reader) Read(p []byte) (int, error) {
	for r.err == nil && r.off < r.end && len(p) > 0 {
		if r.body == nil {
			if r.err = r.reopen(); r.err != nil {
				break
			}
		}
		n, err := r.body.Read(p[:min(int64(len(p)), r.end-r.off)])
		r.off += int64(n)
		if n > 0 {
			r.broken = 0
		}
		if err != nil && r.off < r.end {
			r.err = r.breakOff(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	if r.err == nil && len(p) > 0 {
		return 0, io.EOF
	}
	return 0, r.err
}

// breakOff gives up a body that ended too early, and returns an error when there is no use in asking again.
func (r *s3Reader) breakOff(err error) error {
	_ = r.body.Close() // it has broken already
	r.body = nil
	if r.broken++; r.broken < attempts {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return r.explain(fmt.Errorf("%w: the body breaks off at byte %d of %d, %d times in a row", err, r.off, r.end, r.broken))
}

// reopen asks for the rest.
func (r *s3Reader) reopen() error {
	if err := r.wait(r.broken); err != nil {
		return r.explain(err)
	}
	err := r.open()
	switch status(err) {
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		return r.explain(errChanged)
	}
	return r.explain(err)
}

// Close implements io.Closer.
func (r *s3Reader) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
