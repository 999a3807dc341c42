// Package bucket keeps objects by name, in a local folder or in an S3 bucket.
//
// It has what a Delta table needs and no more. The one operation that other object layers lack is [Bucket.Create]:
// it writes an object only if there is none of that name, and of many that try at once exactly one succeeds. A
// commit to a table is one such call.
//
// S3 is reached by the AWS SDK directly. A layer over several clouds would not give more, since each cloud needs its
// own put-if-absent, but would bring gRPC and telemetry into the binary (twice its size) and write some names as other
// keys, by which Metaxy, delta-rs and DuckDB would not find the objects. GCS and Azure can be further kinds of [Bucket].
//
// Names are relative, with "/" between their parts: "video/crop.delta/_delta_log/00000000000000000000.json".
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// A Bucket holds objects. It is safe for concurrent use.
//
// Errors about one object are [*fs.PathError] values, so that errors.Is finds [fs.ErrNotExist], [fs.ErrExist] and
// [fs.ErrPermission]. A name that [CheckName] refuses gives an error wrapping [fs.ErrInvalid].
type Bucket interface {
	// Get reads n bytes from offset off, or to the end when n is negative. Fewer bytes come when the object ends
	// before. The caller closes the reader. An object that is not there gives an error wrapping fs.ErrNotExist.
	Get(ctx context.Context, name string, off, n int64) (io.ReadCloser, error)
	// Create writes an object in one step, or returns an error wrapping fs.ErrExist when there is one of that name
	// already. After any other error the object may or may not be there: whoever must know reads it back.
	Create(ctx context.Context, name string, body []byte) error
	// Put writes an object, in place of one of that name if there is one, and returns its size. It becomes visible
	// only when complete.
	Put(ctx context.Context, name string, body io.Reader) (int64, error)
	// List yields the objects whose names start with prefix and are greater than after, in ascending order of their
	// bytes, at any depth. No object at all is no error. Iteration ends after the first error.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
	// Delete removes an object; one that is not there is no error.
	Delete(ctx context.Context, name string) error
	// URI is where an object lives, without credentials; the empty name means the whole bucket.
	URI(name string) string
	// Close gives connections back. It does not wait for calls that are under way.
	Close() error
}

// RandomAccess is what a Bucket may offer beside its methods when no question to it goes over a network: reading anywhere in
// an object, and asking for objects by their names, of which there may be many.
type RandomAccess interface {
	Bucket
	// OpenAt opens an object, or returns an error wrapping fs.ErrNotExist. The caller closes it.
	OpenAt(ctx context.Context, name string) (File, error)
	// Look returns those of the named objects that there are, in the order of the names. It takes time by their number, where
	// List takes it by that of all objects in a folder.
	Look(ctx context.Context, names []string) ([]Object, error)
}

// A File is an open object.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// An Object is an entry of a listing.
type Object struct {
	Name    string
	Size    int64
	ModTime time.Time
	ETag    string // without quotes; "" where the storage has none
}

// S3Options says how to reach S3; the zero value takes everything from where the AWS tools take it: AWS_ variables,
// the shared configuration files, the role of the machine.
type S3Options struct {
	Endpoint        string // URL of MinIO, R2 or another S3; "" means AWS_ENDPOINT_URL, else AWS itself
	Region          string // "" means the usual sources, else us-east-1 when there is an endpoint
	AccessKeyID     string // "" means the usual sources
	SecretAccessKey string // belongs to AccessKeyID
	SessionToken    string // belongs to AccessKeyID; "" means none
	PathStyle       *bool  // bucket name in the path, not in the host; nil means yes when there is an endpoint
	AllowHTTP       bool   // accept an endpoint without TLS that is not on this machine
}

// Open opens the bucket under a location: s3://bucket/prefix, file:///path, or a plain path.
func Open(ctx context.Context, location string, o S3Options) (Bucket, error) {
	scheme, rest, ok := strings.Cut(location, "://")
	switch {
	case !ok:
		return OpenDir(location)
	case scheme == "file" || scheme == "local":
		return openFileURL(rest)
	case scheme == "s3" || scheme == "s3a":
		name, prefix, _ := strings.Cut(rest, "/")
		if strings.ContainsAny(prefix, "?#") { // others would leave it out, and it may hold a secret
			return nil, errLocation
		}
		return OpenS3(ctx, name, prefix, o)
	}
	return nil, fmt.Errorf("open store %q: scheme %q is not supported; use s3://bucket/prefix, file:///path or a path",
		withoutSecrets(location), scheme)
}

// errLocation says nothing of the location, which may hold a secret.
var errLocation = errors.New("open store: the location must be s3://bucket/prefix, without credentials and parameters")

// withoutSecrets cuts a location down to what may be shown: no user information and no query.
func withoutSecrets(location string) string {
	location, _, _ = strings.Cut(location, "?")
	scheme, rest, ok := strings.Cut(location, "://")
	if !ok {
		return location
	}
	host, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if path != "" {
		host += "/" + path
	}
	return scheme + "://" + host
}

// MaxName is the longest name in bytes: S3 allows 1024 for a key, of which a prefix may take a part.
const MaxName = 1024

// CheckName says whether a name can name an object: not empty, valid UTF-8 without NUL, relative, and without
// parts that are empty, "." or "..".
func CheckName(name string) error {
	if name == "" || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return fs.ErrInvalid
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return fs.ErrInvalid
		}
	}
	return nil
}
