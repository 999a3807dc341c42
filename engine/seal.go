package engine

import (
	"errors"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A Stamp is what all rows of one write have in common.
type Stamp struct {
	// MaterializationID is stored with every row; "" stores null.
	MaterializationID string
	// Now is the time of the write; the zero value is stored as it is.
	Now time.Time
	// Hashing makes the versions that are missing; the zero value is the whole output of xxh3_64.
	Hashing Hashing
	// ProjectVersion is stored with every row; "" stores null.
	ProjectVersion string
	// PreserveVersions keeps the feature and project versions of rows that have both columns; false replaces them.
	PreserveVersions bool
}

// Seal completes computed rows for storing: it adds the system columns that are missing and replaces those that belong to
// the write. Rows without metaxy_provenance_by_field, or with one that is not a struct, give an error wrapping ErrRows.
func Seal(f *feature.Feature, rows arrow.RecordBatch, by Stamp) (arrow.RecordBatch, error) {
	return nil, errors.ErrUnsupported
}

// Tombstones turns stored rows into their soft deletion at by.Now.
func Tombstones(f *feature.Feature, rows arrow.RecordBatch, by Stamp) (arrow.RecordBatch, error) {
	return nil, errors.ErrUnsupported
}
