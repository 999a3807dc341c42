package engine

import (
	"context"
	"errors"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// Verdict is what Explain found about a sample.
type Verdict string

// The verdicts.
const (
	VerdictNew          Verdict = "new"
	VerdictStale        Verdict = "stale"
	VerdictOrphaned     Verdict = "orphaned"
	VerdictUpToDate     Verdict = "up to date"
	VerdictUnresolvable Verdict = "unresolvable"
	VerdictUnknown      Verdict = "unknown" // neither expected nor stored
)

// An Explanation says what has become of one sample, and why.
type Explanation struct {
	// ID is the sample's id, column by column, as text.
	ID map[string]string
	// Verdict is the sample's state.
	Verdict Verdict
	// Reasons are whole sentences, the most important first.
	Reasons []string
	// Expected and Stored are the sample's provenances; "" without one.
	Expected, Stored string
	// FeatureVersion is the feature's version; StoredFeatureVersion is that of the newest stored row of this sample, ""
	// without one.
	FeatureVersion, StoredFeatureVersion string
	// Fields compares field by field, in the order of the spec.
	Fields []FieldExplanation
}

// A FieldExplanation compares the stored and the expected provenance of one field.
type FieldExplanation struct {
	// Field is the field.
	Field feature.Key
	// Changed says that stored and expected provenance differ.
	Changed bool
	// Expected and Stored are the field's provenances; "" without one.
	Expected, Stored string
	// Inputs are the parent fields that it is computed from, in the order in which they are hashed.
	Inputs []InputExplanation
}

// An InputExplanation shows one parent field.
type InputExplanation struct {
	// Ref names the parent field.
	Ref feature.FieldRef
	// Now is the parent field's data version; "" when there is none.
	Now string
	// Then is the data version that the stored row was computed from, if Known.
	Then string
	// Known says that the parent's history still holds the versions that give the stored provenance.
	Known bool
	// Changed says that Then is known and differs from Now.
	Changed bool
}

// Explain says of each of the samples why it is, or is not, in the increment that Resolve returns with the same options.
// Each id maps the feature's id columns to their values as text.
func Explain(ctx context.Context, r store.Reader, f *feature.Feature, ids []map[string]string, o Options) ([]Explanation, error) {
	return nil, errors.ErrUnsupported
}
