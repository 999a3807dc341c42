package engine

import (
	"context"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ReadOptions says which rows Read yields. The zero value is the current samples with all columns.
type ReadOptions struct {
	// Columns are the columns to return, in this order; nil means all.
	Columns []string
	// AllSamples yields every row of a sample; false only the newest.
	AllSamples bool
	// AllFeatureVersions yields rows of every feature version; false only those of the feature's own.
	AllFeatureVersions bool
	// FeatureVersion yields the rows of that feature version only; "" means the feature's own.
	FeatureVersion string
	// IncludeDeleted yields soft-deleted samples too; false leaves them out.
	IncludeDeleted bool
}

// Read yields the rows of a feature's table.
func Read(ctx context.Context, snap store.Snapshot, f *feature.Feature, o ReadOptions) iter.Seq2[arrow.RecordBatch, error] {
	return nil
}

// ReadSchema is the schema of the batches that Read yields: the id columns, then the others in table order, unless
// o.Columns says otherwise.
func ReadSchema(snap store.Snapshot, f *feature.Feature, o ReadOptions) (*arrow.Schema, error) {
	return nil, nil
}
