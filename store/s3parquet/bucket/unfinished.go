package bucket

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Finisher is what a Bucket may offer beside its methods: to clean up after writers that were killed. What they have begun
// is no object and in no listing, and takes space all the same.
type Finisher interface {
	Bucket
	// ListUnfinished yields the objects under a prefix that were begun and not completed, in no order. A writer may be
	// at work on any of them. Iteration ends after the first error.
	ListUnfinished(ctx context.Context, prefix string) iter.Seq2[Unfinished, error]
	// DeleteUnfinished removes one; one that is completed or gone is no error. Its writer, if there is one, fails.
	DeleteUnfinished(ctx context.Context, u Unfinished) error
}

// Unfinished is an object that was begun.
type Unfinished struct {
	Name    string    // in a folder, of the file that holds it; on S3, of the object that it was to be
	Size    int64     // 0 on S3, which does not say
	ModTime time.Time // of the last write; on S3, of the first
	id      string    // of an upload to S3
}

var (
	_ Finisher = (*Dir)(nil)
	_ Finisher = (*S3)(nil)
)

// ListUnfinished implements Finisher: by the temporary files that have no other name yet.
func (d *Dir) ListUnfinished(ctx context.Context, prefix string) iter.Seq2[Unfinished, error] {
	return func(yield func(Unfinished, error) bool) {
		top := filepath.Join(d.root, filepath.FromSlash(prefix[:strings.LastIndexByte(prefix, '/')+1]))
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil || !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), tempPrefix) {
				return gone(err)
			}
			info, err := e.Info()
			if err != nil {
				return gone(err)
			}
			name, err := filepath.Rel(d.root, path)
			if name = filepath.ToSlash(name); err != nil || !strings.HasPrefix(name, prefix) {
				return err
			}
			if !yield(Unfinished{Name: name, Size: info.Size(), ModTime: info.ModTime()}, nil) {
				return fs.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Unfinished{}, err)
		}
	}
}

// gone forgives that a file or folder is no more, as others work beside us.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// DeleteUnfinished implements Finisher.
func (d *Dir) DeleteUnfinished(ctx context.Context, u Unfinished) error {
	local := filepath.FromSlash(u.Name)
	if !filepath.IsLocal(local) || !strings.HasPrefix(filepath.Base(local), tempPrefix) {
		return &fs.PathError{Op: "delete", Path: u.Name, Err: fs.ErrInvalid}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return gone(os.Remove(filepath.Join(d.root, local)))
}

// ListUnfinished implements Finisher: by the uploads in parts that are under way. MinIO lists those of a whole key only,
// and removes them itself after a day; a service that knows no such listing has none.
func (b *S3) ListUnfinished(ctx context.Context, prefix string) iter.Seq2[Unfinished, error] {
	return func(yield func(Unfinished, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: &b.name, Prefix: aws.String(b.prefix + prefix)}
		for pages := s3.NewListMultipartUploadsPaginator(b.client, in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			if status(err) == http.StatusNotImplemented {
				return
			}
			if err != nil {
				yield(Unfinished{}, b.explain("list uploads", prefix, err))
				return
			}
			for _, u := range page.Uploads {
				name := strings.TrimPrefix(aws.ToString(u.Key), b.prefix)
				if !yield(Unfinished{Name: name, ModTime: aws.ToTime(u.Initiated), id: aws.ToString(u.UploadId)}, nil) {
					return
				}
			}
		}
	}
}

// DeleteUnfinished implements Finisher.
func (b *S3) DeleteUnfinished(ctx context.Context, u Unfinished) error {
	key, err := b.key("abort", u.Name)
	if err != nil {
		return err
	}
	_, err = b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: key, UploadId: &u.id})
	if errorCode(err) == codeNoSuchUpload {
		return nil
	}
	return b.explain("abort", u.Name, err)
}
