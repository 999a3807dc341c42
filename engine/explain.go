package engine

import (
	"context"
	"fmt"

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
	// ID is the sample's id, column by column, as it was asked for.
	ID map[string]string
	// Verdict is the sample's state.
	Verdict Verdict
	// Reasons are phrases, the most important first.
	Reasons []string
	// Expected and Stored are the sample's provenances; "" without one. A row that is stored under another feature version
	// does not count for the increment, but is what Stored and Fields compare with if there is no other.
	Expected, Stored string
	// FeatureVersion is the feature's version; StoredFeatureVersion is that of the newest stored row of this sample,
	// "" without one.
	FeatureVersion, StoredFeatureVersion string
	// Fields compares field by field, in the order of the spec. It is empty for a sample that is not expected.
	Fields []FieldExplanation
}

// A FieldExplanation compares the stored and the expected provenance of one field.
type FieldExplanation struct {
	// Field is the field.
	Field feature.Key
	// Changed says that a provenance is stored and differs from the expected one.
	Changed bool
	// Expected and Stored are the field's provenances; "" without one.
	Expected, Stored string
	// Inputs are the parent fields that it is computed from, in the order in which they are hashed. A given sample
	// has none.
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
	// Known says that the stored provenance was reproduced, from the parent's present or older rows. False says that
	// no combination of rows that are still there gives it, or that nothing is stored.
	Known bool
	// Changed says that Then is known and differs from Now.
	Changed bool
}

// Explain says of each of the samples why it is, or is not, in the increment that Resolve returns with the same
// options. Each id maps the columns by which samples are compared (see [SampleColumns]) to their values as text. Of an
// expanded sample, one of the stored rows is shown: one that makes it stale, if there is any.
func Explain(
	ctx context.Context, r store.Reader, f *feature.Feature, ids []map[string]string, o Options) ([]Explanation, error,
) {
	p, err := prepare(ctx, r, f, o)
	if err != nil {
		return nil, err
	}
	asked, err := p.parseIDs(ids)
	if err != nil {
		return nil, fmt.Errorf("explain %q: %w", f.Key(), err)
	}
	tables, target, err := p.load(ctx)
	if err != nil {
		return nil, err
	}
	expected, err := p.joinSources(ctx, tables)
	if err != nil {
		return nil, err
	}
	e := &explainer{plan: p, asked: asked, tables: tables, target: target}
	e.find(expected)
	if err := e.readHistory(ctx); err != nil {
		return nil, fmt.Errorf("explain %q: %w", f.Key(), err)
	}
	if err := e.readStored(ctx); err != nil {
		return nil, fmt.Errorf("explain %q: %w", f.Key(), err)
	}
	out := make([]Explanation, len(ids))
	for i := range ids {
		out[i] = e.explain(uint32(i), ids[i])
	}
	return out, nil
}

// explain puts together what was found about one sample.
func (e *explainer) explain(i uint32, id map[string]string) Explanation {
	out := Explanation{ID: id, FeatureVersion: e.plan.feature.Version()}
	tuple, stored := e.tuples[i], e.stored[i]
	out.StoredFeatureVersion = e.written[i]
	if shown := e.shown(i); shown != nil {
		out.Stored = shown.provenance
	}
	if tuple == nil {
		e.explainAbsent(&out, i, stored != nil)
		return out
	}
	v := newVersioner(&e.plan.versions, e.plan.hashing, e.tables)
	version, complete := v.compute(tuple)
	out.Expected = string(version)
	for _, f := range e.plan.versions.output {
		out.Fields = append(out.Fields, e.explainField(i, v, f))
	}
	switch {
	case !complete && (!e.plan.given() || stored != nil && stored.known):
		out.Verdict = VerdictUnresolvable
		out.Reasons = unresolvableReasons(out.Fields)
	case stored == nil:
		out.Verdict = VerdictNew
		out.Reasons = e.newReasons(i, out.Fields)
	case !stored.known:
		out.Verdict = VerdictStale
		out.Reasons = []string{"the stored row has no provenance"}
	case stored.provenance != out.Expected:
		out.Verdict = VerdictStale
		out.Reasons = staleReasons(out.Fields)
	case e.flagged(i):
		out.Verdict = VerdictStale
		out.Reasons = []string{"a staleness predicate holds for its stored row"}
	default:
		out.Verdict = VerdictUpToDate
		out.Reasons = []string{"the stored provenance is the expected one"}
	}
	return out
}

// shown is the stored row to compare with: the one that counts, else the newest one of another feature version.
func (e *explainer) shown(i uint32) *storedSample {
	if e.stored[i] != nil {
		return e.stored[i]
	}
	return e.superseded[i]
}

// explainField compares one field of an expected sample with the stored one.
func (e *explainer) explainField(i uint32, v *versioner, field int) FieldExplanation {
	plan := &e.plan.versions.fields[field]
	out := FieldExplanation{Field: plan.key}
	if version, ok := v.field(field); ok {
		out.Expected = string(version)
	}
	stored := e.shown(i)
	known := false
	if stored != nil {
		out.Stored, known = stored.fields[plan.member], stored.has[plan.member]
		out.Changed = !known || out.Stored != out.Expected
	}
	if plan.given {
		return out
	}
	then := e.tuples[i]
	if out.Changed || stored == nil {
		then = nil
		if known {
			then = e.reproduce(i, plan, out.Stored)
		}
	}
	for k := range plan.inputs {
		in := &plan.inputs[k]
		x := InputExplanation{Ref: in.ref, Now: e.inputText(e.tables, in, e.tuples[i])}
		if then != nil {
			x.Known = true
			x.Then = x.Now
			if out.Changed {
				x.Then = e.inputText(e.past, in, then)
			}
			x.Changed = x.Then != x.Now
		}
		out.Inputs = append(out.Inputs, x)
	}
	return out
}

// inputText is the value of an input in rows of the sources, "" for none.
func (e *explainer) inputText(tables []*table, in *inputPlan, rows []uint32) string {
	if rows[in.source] == none {
		return ""
	}
	c, row := tables[in.source].text(rows[in.source], in.text)
	if c.isNull(row) {
		return ""
	}
	return string(c.appendText(nil, row))
}
