package delta

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

var absolute = regexp.MustCompile(`^(/|[A-Za-z][A-Za-z0-9+.-]*:/)`)

// decodePath returns the name of a data file relative to its table's folder, from the path of an add or remove.
func decodePath(path string) (string, error) {
	if strings.Contains(path, "/") && absolute.MatchString(path) {
		return "", fmt.Errorf("%w: data file %q lies outside of the table (shallow clone)", store.ErrUnsupported, path)
	}
	name, err := url.PathUnescape(path)
	if err != nil {
		return "", fmt.Errorf("%w: data file %q: %w", store.ErrCorrupt, path, err)
	}
	if bucket.CheckName(name) != nil {
		return "", fmt.Errorf("%w: data file %q is not a path below the table", store.ErrCorrupt, path)
	}
	return name, nil
}

// encodePath is the inverse of decodePath.
func encodePath(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}
