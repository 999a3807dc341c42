package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// readers is how many objects are read at once for their content hashes.
const readers = 4

// list returns the objects of a folder, prefix or pattern in order of their paths.
func list(ctx context.Context, o SourceOptions) ([]object, error) {
	folder, pattern := o.From, ""
	if isPattern(o.From) {
		folder, pattern = splitPattern(o.From)
	}
	match := func(string) bool { return true }
	if pattern != "" {
		re, err := compilePattern(pattern)
		if err != nil {
			return nil, err
		}
		match = re.MatchString
	}
	if strings.HasPrefix(o.From, "s3://") {
		return listBucket(ctx, folder, match, o)
	}
	return listFolder(ctx, strings.TrimPrefix(folder, "file://"), match, o)
}

// listFolder finds files at any depth. A symbolic link counts as what it points at, but links to folders are not
// followed: they can go in circles.
func listFolder(ctx context.Context, folder string, match func(string) bool, o SourceOptions) ([]object, error) {
	if folder == "" {
		folder = "."
	}
	var found []object
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil || !match(filepath.ToSlash(rel)) {
			return err
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		found = append(found, object{path: path, size: info.Size(), mtime: info.ModTime().Truncate(time.Microsecond)})
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b object) int { return strings.Compare(a.path, b.path) })
	if o.ContentHash {
		err = hashAll(ctx, found, func(_ context.Context, path string) (io.ReadCloser, error) { return os.Open(path) })
	}
	return found, err
}

// listBucket finds objects whose names begin with what stands before the first wildcard. Names that end in a slash are
// folders of some browser, not objects.
func listBucket(
	ctx context.Context, folder string, match func(string) bool, o SourceOptions,
) (found []object, err error) {
	root := strings.TrimSuffix(folder, "/")
	b, err := bucket.Open(ctx, root, o.S3)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for obj, err := range b.List(ctx, "", "") {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(obj.Name, "/") || !match(obj.Name) {
			continue
		}
		found = append(found, object{path: root + "/" + obj.Name, size: obj.Size, etag: obj.ETag, mtime: obj.ModTime})
	}
	if o.ContentHash {
		err = hashAll(ctx, found, func(ctx context.Context, path string) (io.ReadCloser, error) {
			return b.Get(ctx, strings.TrimPrefix(path, root+"/"), 0, -1)
		})
	}
	return found, err
}

// hashAll reads all objects, some at a time, for the SHA-256 of their content.
func hashAll(ctx context.Context, objects []object, open func(context.Context, string) (io.ReadCloser, error)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i := range objects {
		g.Go(func() error {
			sum, err := contentHash(ctx, objects[i].path, open)
			objects[i].content = sum
			if err != nil {
				return fmt.Errorf("hash %q: %w", objects[i].path, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func contentHash(
	ctx context.Context, path string, open func(context.Context, string) (io.ReadCloser, error),
) (sum string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	r, err := open(ctx, path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
