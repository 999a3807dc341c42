package config

// A Type says what kind of store a table of the file describes.
type Type int

const (
	// S3Parquet is our own type of store: the same tables, with hashes that are not truncated.
	S3Parquet Type = iota
	// MetaxyDelta is Metaxy's Delta store, with Metaxy's defaults.
	MetaxyDelta
)

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
	HashAlgorithm string
	// S3 are the options of an object store; zero means the usual AWS sources.
	S3 S3
}

// S3 are the storage options of a store on S3.
type S3 struct {
	// Endpoint, Region and the credentials; "" means the usual AWS sources.
	Endpoint, Region, AccessKeyID, SecretAccessKey, SessionToken string
	// PathStyle addresses buckets in the path; nil means as the endpoint asks for.
	PathStyle *bool
	// AllowHTTP permits an endpoint without TLS.
	AllowHTTP bool
}
