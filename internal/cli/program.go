// Package cli is the command line of metaxy-pipes.
//
// It turns flags, environment and configuration into a [Env] (configuration, graph and store), calls the package that
// does the work, and prints the answer: tables for people on a terminal, stable machine formats into a pipe. What runs
// samples is not known here; the program that calls [Main] passes it in as [Program.Run].
package cli

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Program is what a binary brings along to the common commands.
type Program struct {
	// Name is the binary's name in help and version; "" means metaxy-pipes.
	Name string
	// Definitions is the compiled-in graph; nil leaves it to the flags and the configuration.
	Definitions []feature.Definition
	// Processors are the features that have a compiled-in processor, and the kind of each; nil means none.
	Processors map[feature.Key]string
	// Store opens the compiled-in store; nil leaves it to the flags, the environment and the configuration. A store
	// that is named by a flag or by METAXY_STORE comes first.
	Store func(ctx context.Context) (store.Store, engine.Hashing, error)
	// Tell passes what a command found out to the Dagster step that launched it, as a custom message, or else its error; nil
	// tells nobody. Without Dagster it does nothing.
	Tell func(ctx context.Context, payload any, failed error) error
	// Run is the run command, which connects the Env; nil makes it an error.
	Run func(ctx context.Context, e *Env, f RunFlags) error
}

// An Env is what a command works on.
type Env struct {
	// Config is the configuration; never nil, zero when there is no file.
	Config *config.Config
	// Graph is the features, with versions as the store's hashing asks for; before Connect, as the configuration does, and nil
	// if they are in the store.
	Graph *feature.Graph
	// Store is the open store; the command line closes it after the command. Nil before Connect.
	Store store.Store
	// StoreInfo says which store that is.
	StoreInfo StoreInfo
	// Hashing is how the store's rows are hashed.
	Hashing engine.Hashing
	// Log goes to stderr in the format that the user chose.
	Log *slog.Logger
	// Stdin, Stdout and Stderr are the command's streams.
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	connect func(ctx context.Context) error // of a run
	jsonLog bool
	// MemoryLimit is how many bytes of memory the command is to stay within.
	MemoryLimit int64
}

// Connect opens the store of a run, and completes what only the store may know: the graph, and how its rows are hashed. On a
// distant store that takes several round trips, so that a run says before that it has begun. After an error there is no store.
func (e *Env) Connect(ctx context.Context) error { return e.connect(ctx) }

// RunFlags are the flags of the run command, with the configuration's defaults filled in.
type RunFlags struct {
	// Features are the features named as arguments; nil leaves it to Dagster's context.
	Features []feature.Key
	// Command is the external processor and its arguments; nil means the compiled-in one.
	Command []string
	// Concurrency is how many workers process at once; 0 means the runner's default.
	Concurrency int
	// BatchSize is how many samples one call of a processor gets; 0 means the runner's default.
	BatchSize int
	// Retries is how often a failed sample is tried again in the same run; 0 means never.
	Retries int
	// FlushRows commits after so many rows; 0 means the runner's default.
	FlushRows int64
	// FlushInterval commits at least this often while there are rows; 0 means the runner's default.
	FlushInterval time.Duration
	// SampleTimeout is how long one attempt of one call may take; 0 means as long as it wants.
	SampleTimeout time.Duration
	// Grace is how long workers may go on after the run is told to stop; 0 means the runner's default.
	Grace time.Duration
	// MaxFailed is how many samples may fail before the run counts as failed; zero tolerates none.
	MaxFailed Tolerance
	// DeleteOrphaned soft-deletes orphaned samples; false keeps them.
	DeleteOrphaned bool
	// Limit is how many samples to process at most; 0 means all.
	Limit int64
	// Partition restricts the run to one partition's value; "" leaves it to Dagster's context.
	Partition string
	// Shard is this process's part of the increment; zero means all of it.
	Shard Shard
	// NoOptimize leaves small files alone; false merges them when there are many.
	NoOptimize bool
	// DryRun resolves and reports, and neither processes nor writes.
	DryRun bool
	// ReportOnly reports the table as it is.
	ReportOnly bool
	// BatchArrow speaks Arrow IPC streams with an external processor; false means JSON lines.
	BatchArrow bool
	// ProcessorEnv are the names of the environment variables that an external processor gets, with * for any letters; nil
	// means all but those that are for this process alone.
	ProcessorEnv []string
	// Stats prints what the run has asked of the storage before the last line.
	Stats bool
}

// An ExitError is an error that chooses the exit status.
type ExitError struct {
	// Code is the exit status.
	Code int
	// Err is what is printed; nil prints nothing.
	Err error
}

// Error is the message of the wrapped error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap returns the wrapped error.
func (e *ExitError) Unwrap() error { return e.Err }

// The exit statuses. Go itself exits with 2 when a program crashes.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitSomeFailed  = 3
	ExitSetup       = 4
	ExitInterrupted = 130
)
