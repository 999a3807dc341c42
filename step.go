package metaxy

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Step says how to compute one feature.
type Step struct {
	// Graph holds the feature and its ancestors. [Run] requires it; nil in [Main] means the graph that the configuration
	// names.
	Graph *feature.Graph
	// Feature is what the step computes. "" means the session's only asset, or the only feature of Graph that has
	// parents.
	Feature feature.Key
	// Store opens the store that holds the tables. [Run] requires it and closes what it opened; nil in [Main] means the
	// store that flags, environment and configuration name.
	Store func(context.Context) (store.Store, error)
	// Hashing is how the rows of that store are versioned; the zero value is the whole output of xxh3_64.
	Hashing engine.Hashing
	// Process computes the feature's rows. It is required, except for a dry run.
	Process Processor
	// Samples yields the expected samples: the id columns, metaxy_provenance_by_field, and what the processor needs.
	// A root feature needs it; nil takes the samples from the parents.
	Samples func(context.Context) iter.Seq2[arrow.RecordBatch, error]
	// BatchSize is how many samples one call of the processor gets, unless Options.BatchSize says otherwise. 0 means 256, or
	// as many as have about 16 MiB of rows. Of those processors, the ones that are made by [Each], [Expand], [Aggregate] or
	// [External] get no more than they do in about 1 ms, those by [ExternalArrow] than they do in about 10 ms, at most 64; the
	// external ones get 1 with Options.SampleTimeout.
	BatchSize int
}
