package engine

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

var (
	// ErrPlan reports a feature or options from which no increment can be made, whatever the tables hold.
	ErrPlan = errors.New("engine: cannot plan")
	// ErrRows reports rows that lack something they need.
	ErrRows = errors.New("engine: unusable rows")
)

// Options says how to resolve. The zero value is good for any feature that has parents.
type Options struct {
	// Hashing is how versions are made; the zero value is the whole output of xxh3_64.
	Hashing Hashing
	// Samples are the expected samples, with the feature's id columns and metaxy_provenance_by_field. A root feature
	// needs them; with them the parents of another feature are not read. Nil takes the samples from the parents.
	Samples iter.Seq2[arrow.RecordBatch, error]
	// SkipComparison makes every expected sample new. False compares with the stored samples.
	SkipComparison bool
	// Filters keep the rows of a feature, parent or resolved, for which all hold. Nil keeps all.
	Filters map[feature.Key][]string
	// GlobalFilters apply to every table that is read. Nil keeps all rows.
	GlobalFilters []string
	// TargetFilters apply to the stored and the given samples of the resolved feature. Nil keeps all rows.
	TargetFilters []string
	// StaleIf are conditions on stored samples, any of which makes a sample stale. Nil leaves it to the versions.
	StaleIf []string
}

// Resolve compares the samples that f should have with those it has. It writes nothing, and the same rows give the same
// increment whatever their order. A parent without a table gives an error wrapping store.ErrNoTable; a feature or options
// that cannot work give one wrapping ErrPlan.
func Resolve(ctx context.Context, r store.Reader, f *feature.Feature, o Options) (*Increment, error) {
	return nil, errors.ErrUnsupported
}
