package config

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

const defaultStore = "dev"

func unusable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrConfig, fmt.Errorf(format, args...))
}

// Locate returns the store that a name or location means; "" means the default store. A location is a URI, or a path:
// something with a slash, or any word where no stores are configured.
func (c *Config) Locate(nameOrLocation string) (StoreConfig, error) {
	name := nameOrLocation
	if name == "" {
		name = c.Store
	}
	if name == "" {
		name = defaultStore
		if _, ok := c.Stores[name]; !ok {
			return StoreConfig{}, unusable("%w: give --store NAME|URI, set METAXY_STORE, or write one "+
				"into %s%s", ErrNoStore, fileName, c.storeNames())
		}
	}
	if st, ok := c.Stores[name]; ok {
		return st, st.Unusable
	}
	if isLocation(name) || len(c.Stores) == 0 && nameOrLocation != "" || isDir(name) {
		return StoreConfig{Root: name}, nil
	}
	if near := Nearest(name, slices.Collect(maps.Keys(c.Stores))); near != "" {
		return StoreConfig{}, unusable("there is no store %q; did you mean %s?", name, near)
	}
	return StoreConfig{}, unusable("there is no store %q%s; a path needs a slash, as in ./%s", name, c.storeNames(), name)
}

func (c *Config) storeNames() string {
	if len(c.Stores) == 0 {
		return ""
	}
	return " (configured are " + strings.Join(slices.Sorted(maps.Keys(c.Stores)), ", ") + ")"
}

func isLocation(s string) bool {
	return strings.ContainsAny(s, `/`+string(filepath.Separator)) || s == "." || s == ".." || strings.HasPrefix(s, "~")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Open opens a store. Nothing has to exist at its location.
func (s StoreConfig) Open(ctx context.Context) (*s3parquet.Store, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	o := s3parquet.Options{S3: s.S3}
	if s.Flat {
		o.Layout = s3parquet.Flat
	}
	if s.MapVersions {
		o.Maps = []string{feature.ColProvenanceByField, feature.ColDataVersionByField}
	}
	st, err := s3parquet.Open(ctx, root, o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return st, nil
}

// OpenBucket opens what the store's tables lie in.
func (s StoreConfig) OpenBucket(ctx context.Context) (bucket.Bucket, error) {
	root, err := s.root()
	if err != nil {
		return nil, err
	}
	b, err := bucket.Open(ctx, root, s.S3)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return b, nil
}

// root is the location with the home folder spelled out. A configured one is what stands behind file:// or local://, as
// Metaxy reads it, letter by letter.
func (s StoreConfig) root() (string, error) {
	if s.Unusable != nil {
		return "", s.Unusable
	}
	path := s.Root
	if s.Name != "" {
		for _, scheme := range []string{"file://", "local://"} {
			if rest, ok := strings.CutPrefix(path, scheme); ok {
				path = rest
				break
			}
		}
	}
	return expandHome(path)
}

// expandHome replaces a beginning ~ or ~name by the home folder.
func expandHome(path string) (string, error) {
	name, rest, slash := strings.Cut(path, "/")
	if !strings.HasPrefix(name, "~") || strings.Contains(path, "://") {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if name != "~" {
		var u *user.User
		if u, err = user.Lookup(name[1:]); err == nil {
			home = u.HomeDir
		}
	}
	if err != nil {
		return "", unusable("root_path begins with %s: %w", name, err)
	}
	if slash {
		home += "/" + rest
	}
	return home, nil
}

// Hashing is how the rows of a store are hashed, as far as the configuration decides.
type Hashing struct {
	// Hashing has the configured values, and the defaults of the store's type for the others.
	engine.Hashing
	// AlgorithmSet and LengthSet say which values are configured (or are Metaxy's, for a store of Metaxy's type), so
	// that a table which records others cannot be used.
	AlgorithmSet, LengthSet bool
}

// defaultAlgorithm is ours, where nothing else is said.
const defaultAlgorithm = engine.Hash("xxh3_64")

// Metaxy's defaults.
const (
	metaxyAlgorithm = engine.Hash("xxhash32")
	metaxyLength    = 8
)

// Hashing returns how the rows of the store are hashed.
func (c *Config) Hashing(s StoreConfig) Hashing {
	h := Hashing{
		Hashing:      engine.Hashing{Algorithm: s.HashAlgorithm, TruncationLength: c.HashTruncationLength},
		AlgorithmSet: s.HashAlgorithm != "",
		LengthSet:    c.HashTruncationLength != 0,
	}
	if s.Type == MetaxyDelta {
		if !h.AlgorithmSet {
			h.Algorithm, h.AlgorithmSet = metaxyAlgorithm, true
		}
		if !h.LengthSet {
			h.TruncationLength, h.LengthSet = metaxyLength, true
		}
	}
	return h
}
