package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// Status says why a sample is in an increment.
type Status int

// The parts of an increment.
const (
	New      Status = iota // expected, and not stored
	Stale                  // stored with another provenance than expected
	Orphaned               // stored, and not expected
)

// String returns the name that resolve prints.
func (s Status) String() string {
	switch s {
	case New:
		return "new"
	case Stale:
		return "stale"
	case Orphaned:
		return "orphaned"
	}
	return fmt.Sprintf("Status(%d)", int(s))
}

// An Increment is the work that a feature needs. It holds references to rows only and is safe for concurrent use.
type Increment struct {
	feature *feature.Feature
}

// Feature is the feature that was resolved.
func (inc *Increment) Feature() *feature.Feature { return inc.feature }

// Count is the number of samples with the status.
func (inc *Increment) Count(s Status) int64 { return 0 }

// Unresolvable is the number of expected samples without a version, because a required parent's field has none. They are
// in no part of the increment.
func (inc *Increment) Unresolvable() int64 { return 0 }

// IDColumns are the columns that identify a sample.
func (inc *Increment) IDColumns() []string { return nil }

// Schema is every column that samples with the status have: the id columns first, and for new and stale samples the four
// version columns last.
func (inc *Increment) Schema(s Status) *arrow.Schema { return nil }

// Batches yields the samples with the status in batches of at most size rows (0 means 1024), with exactly the named
// columns (nil means all). It reads the columns as it goes. A column that the samples do not have is an error wrapping
// ErrPlan. Iteration ends after the first error.
func (inc *Increment) Batches(ctx context.Context, s Status, columns []string, size int) iter.Seq2[arrow.RecordBatch, error] {
	return nil
}
