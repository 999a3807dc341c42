package config

import (
	"errors"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// A Type says what kind of store a table of the file describes.
type Type int

const (
	// S3Parquet is our own type of store: the same tables, with hashes that are not truncated.
	S3Parquet Type = iota
	// MetaxyDelta is Metaxy's Delta store, with Metaxy's defaults.
	MetaxyDelta
)

// The names of the types in a file.
const (
	typeS3Parquet  = "s3parquet"
	typeDelta      = "metaxy.ext.polars.handlers.delta.DeltaMetadataStore"
	typeDeltaAlias = "metaxy.ext.polars.DeltaMetadataStore"
)

// String is the type's name in a file.
func (t Type) String() string {
	if t == MetaxyDelta {
		return typeDelta
	}
	return typeS3Parquet
}

// A StoreConfig is one table [stores.<name>].
type StoreConfig struct {
	// Name is the store's name; "" for a store that was given as a location.
	Name string
	// Type decides the defaults.
	Type Type
	// Root is where the tables live: a path, file:// or s3:// location.
	Root string
	// Flat puts all tables into one folder; false nests folders as the keys' parts.
	Flat bool
	// HashAlgorithm is the row hash; "" means the type's default.
	HashAlgorithm engine.Hash
	// MapVersions is that of the configuration, once the store is opened by it.
	MapVersions bool
	// Fallbacks are the names of the stores that have the tables which this one does not have, in order; nil means none.
	Fallbacks []string
	// S3 are the options of an object store; zero means the usual AWS sources.
	S3 bucket.S3Options
	// Unusable says why the store cannot be opened, although others in the file can; nil when it can.
	Unusable error
}

// readStore reads one store. A store of a type that we do not have is only an error when it is used: the file is
// Metaxy's too.
func readStore(c *Config, s *section, name string) (StoreConfig, bool) {
	if _, ok := s.values["type"]; !ok {
		c.warn("%s has no type and is passed over", s.name)
		return StoreConfig{}, false
	}
	st := StoreConfig{Name: name}
	settings := s.table("config")
	switch text := s.text("type"); text {
	case typeS3Parquet:
	case typeDeltaAlias:
		c.warn("%s.type: %s is deprecated; write %s", s.name, typeDeltaAlias, typeDelta)
		st.Type = MetaxyDelta
	case typeDelta:
		st.Type = MetaxyDelta
	default:
		s.finish()
		st.Unusable = unusable("%s.type: there is no store of type %q here; use %s or %s",
			s.name, text, typeS3Parquet, typeDelta)
		return st, true
	}
	s.finish()
	readSettings(c, &st, settings)
	return st, true
}

func readSettings(c *Config, st *StoreConfig, s *section) {
	// Metaxy, too, looks at a store's settings only when it opens it.
	var errs []error
	s.errs = &errs
	if st.Root = s.text("root_path"); st.Root == "" {
		s.fail("root_path", "is required: a path, file:///path or s3://bucket/prefix")
	}
	switch layout := s.text("layout"); layout {
	case "", "nested":
	case "flat":
		st.Flat = true
	default:
		s.fail("layout", `expected "nested" or "flat"`)
	}
	if name := s.text("hash_algorithm"); name != "" {
		h, err := engine.ParseHash(name)
		if err != nil {
			s.fail("hash_algorithm", "%s", err)
		}
		st.HashAlgorithm = h
	}
	st.Fallbacks = s.list("fallback_stores")
	readS3(c, st, s.table("storage_options"))
	if st.Type == MetaxyDelta {
		s.table("delta_write_options")
		if _, ok := s.take("versioning_engine"); ok {
			s.fail("versioning_engine", "Metaxy's Delta store does not open with it; remove it")
		}
	}
	s.finish()
	if len(errs) > 0 {
		st.Unusable = errors.Join(errs...)
	}
}
