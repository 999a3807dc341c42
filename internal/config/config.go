// Package config reads metaxy.toml, the file that Metaxy and metaxy-pipes share, and opens the store that it names.
//
// A value comes from a flag, else from the environment (METAXY_...), else from the file. Our own settings stand in the
// file's [ext.metaxy_pipes] table, where Metaxy tolerates them; everywhere else an unknown key is an error, for Metaxy
// and for us.
package config

import (
	"errors"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// ErrConfig reports a configuration that cannot be used: a file that does not parse, an unknown key or store, a value
// that makes no sense.
var ErrConfig = errors.New("configuration")

// ErrNoStore reports that nothing says which store is meant. It comes along with ErrConfig.
var ErrNoStore = errors.New("no store is named")

// A Config is the effective configuration. The zero value is the configuration of a place without a file.
type Config struct {
	// Path is the file that was read; "" means none.
	Path string
	// Project is the project that own features belong to; "" means not named.
	Project string
	// HashTruncationLength is how many characters of every hash are kept; 0 means not set, so that the store's type
	// decides.
	HashTruncationLength int
	// MapVersions lets new tables have versions by field as maps (enable_map_datatype); false gives them structs. A table
	// that there is keeps what it has.
	MapVersions bool
	// Store is the name of the default store; "" means not named, which is "dev" as in Metaxy.
	Store string
	// Stores are the configured stores by name; nil means none.
	Stores map[string]StoreConfig
	// LockPath is the path of metaxy.lock; "" means the one beside the file. See [Config.LockFile].
	LockPath string
	// Sync says whether external features are replaced by the definitions that the store holds.
	Sync bool
	// Locked says whether it is an error if those have other versions; false leaves it to the features.
	Locked bool
	// ExtraFeatures are features to take from the store in addition; nil means none.
	ExtraFeatures []FeatureSelection
	// Pipes are our own settings.
	Pipes Pipes
	// Warnings are remarks about the file that are no errors, for the log.
	Warnings []string
}

// A FeatureSelection is one table [[extra_features]]. It names something.
type FeatureSelection struct {
	// All names every feature of the store.
	All bool
	// Projects names the features of these projects.
	Projects []string
	// Keys names these features.
	Keys []feature.Key
}

// Pipes is the table [ext.metaxy_pipes]. A zero field means that the file does not say.
type Pipes struct {
	// Features are paths of feature files and folders, relative to the file that names them.
	Features []string
	// Concurrency, BatchSize and Retries are defaults of the run command's flags of these names.
	Concurrency, BatchSize, Retries int
	// FlushRows, FlushInterval, SampleTimeout and Grace are defaults of the run command's flags of these names.
	FlushRows                           int64
	FlushInterval, SampleTimeout, Grace time.Duration
	// MaxFailed is the default of --max-failed: a count or a share with a percent sign.
	MaxFailed string
	// Orphaned is the default of --orphaned: keep or delete.
	Orphaned string
	// ProcessorEnv are the names of the environment variables that external processors get, with * for any letters; nil
	// means all but those that are for metaxy-pipes alone.
	ProcessorEnv []string

	// MaterializationID is the default of --materialization-id of ingest, write, delete and rebase.
	MaterializationID string
	// Channel is where Dagster Pipes has its context and messages: s3, dbfs, volumes, or "" for a file or stream.
	Channel string
}
