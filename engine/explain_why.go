package engine

import (
	"fmt"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// maxCombinations is how many combinations of the parents' rows are tried to find what a stored row was computed
// from.
const maxCombinations = 10_000

// reproduce finds rows of the parents, present or past, from which the field gets the stored version. It returns an
// entry of e.past for each source, or nil.
func (e *explainer) reproduce(i uint32, f *fieldPlan, stored string) []uint32 {
	v := newVersioner(&e.plan.versions, e.plan.hashing, e.past)
	rows := make([]uint32, len(e.past))
	for s := range rows {
		rows[s] = none
	}
	var involved []int
	for _, in := range f.inputs {
		if rows[in.source] == none {
			rows[in.source] = 0
			involved = append(involved, in.source)
		}
	}
	choices := make([][]uint32, len(involved))
	for k, s := range involved {
		choices[k] = slices.Clone(e.pastOf[s][i])
		if e.plan.sources[s].optional {
			choices[k] = append(choices[k], none)
		}
	}
	tried := 0
	var try func(k int) bool
	try = func(k int) bool {
		if k == len(involved) {
			tried++
			v.fields = v.fields[:0]
			return v.computeField(f, rows) && string(v.fields) == stored
		}
		for _, entry := range choices[k] {
			rows[involved[k]] = entry
			if tried < maxCombinations && try(k+1) {
				return true
			}
		}
		return false
	}
	if try(0) {
		return rows
	}
	return nil
}

// explainAbsent says why a sample is not expected.
func (e *explainer) explainAbsent(out *Explanation, i uint32, stored bool) {
	out.Verdict = VerdictUnknown
	if stored {
		out.Verdict = VerdictOrphaned
	}
	if e.plan.given() {
		out.Reasons = []string{"it is not among the given samples"}
		return
	}
	optional := true
	for s := range e.plan.sources {
		source := &e.plan.sources[s]
		if source.optional {
			continue
		}
		optional = false
		switch found, p := e.inSource(i, s); {
		case !found:
			out.Reasons = append(out.Reasons, source.name+" has no sample with this id")
		case p.deleted():
			out.Reasons = append(out.Reasons, source.name+" has deleted its sample with this id")
		case p.filtered():
			out.Reasons = append(out.Reasons, "a filter leaves out the sample of "+source.name+" with this id")
		}
	}
	if optional {
		out.Reasons = append(out.Reasons, "no parent has a sample with this id")
	}
	if len(out.Reasons) == 0 {
		out.Reasons = append(out.Reasons, "the parents have no samples that belong together under this id")
	}
}

// inSource reports whether a source has rows that belong to the asked sample, and where one of them is: a live one, if
// there is any.
func (e *explainer) inSource(i uint32, source int) (found bool, at position) {
	asked, columns := e.joinColumns(source)
	key := tupleKey{tables: []*table{e.asked}}
	for _, c := range asked {
		key.columns = append(key.columns, frameKey{from: []sourceKey{{0, c}}})
	}
	t := e.tables[source]
	entry, live := key.find([]uint32{i}, t.lookupBy(columns))
	if !live {
		entry = key.findRow([]uint32{i}, t, columns)
	}
	if entry == none {
		return false, 0
	}
	return true, t.rows[entry]
}

// newReasons says why no row of an expected sample counts as stored.
func (e *explainer) newReasons(i uint32, fields []FieldExplanation) []string {
	version := e.plan.feature.Version()
	switch {
	case e.plan.target == nil:
		return []string{"the feature has no table yet"}
	case e.written[i] == "":
		return []string{"no row of it is stored"}
	case e.newest[i].deleted():
		return []string{"its newest stored row is a deletion"}
	case e.written[i] != version:
		return e.supersededReasons(i, fields)
	case e.newest[i].filtered():
		return []string{"a filter leaves out its stored row"}
	}
	return []string{"no row of it is stored under the feature's version"}
}

// supersededReasons says what differs from a row that is stored under another feature version.
func (e *explainer) supersededReasons(i uint32, fields []FieldExplanation) []string {
	out := []string{fmt.Sprintf("it is stored under feature version %s, and the version now is %s: a code version or a "+
		"dependency of the feature, or of a feature it depends on, has changed", e.written[i], e.plan.feature.Version())}
	for _, f := range fields {
		moved := inputReasons(f)
		switch {
		case !f.Changed:
		case f.Stored == "":
			out = append(out, fmt.Sprintf("field %q is not stored", f.Field))
		case len(moved) > 0:
			out = append(out, moved...)
		default:
			out = append(out, fmt.Sprintf("field %q: its code version, which is %q now, or what it is computed from has changed",
				f.Field, e.codeVersion(f.Field)))
		}
	}
	return out
}

// codeVersion is that of a field now.
func (e *explainer) codeVersion(field feature.Key) string {
	for _, f := range specFields(e.plan.feature) {
		if f.Key == field && f.CodeVersion != "" {
			return f.CodeVersion
		}
	}
	return feature.InitialCodeVersion
}

// inputReasons names the parent fields that are known to have changed.
func inputReasons(f FieldExplanation) []string {
	var out []string
	for _, in := range f.Inputs {
		if in.Changed {
			out = append(out, fmt.Sprintf("field %q: %s was %q and is %q now", f.Field, in.Ref, in.Then, in.Now))
		}
	}
	return out
}

func unresolvableReasons(fields []FieldExplanation) []string {
	var out []string
	for _, f := range fields {
		if f.Expected != "" {
			continue
		}
		if len(f.Inputs) == 0 {
			out = append(out, fmt.Sprintf("field %q of the given sample has no version", f.Field))
		}
		for _, in := range f.Inputs {
			if in.Now == "" {
				out = append(out, fmt.Sprintf("field %q: the parent's %s has no version", f.Field, in.Ref))
			}
		}
	}
	return out
}

func staleReasons(fields []FieldExplanation) []string {
	var out []string
	for _, f := range fields {
		if !f.Changed {
			continue
		}
		out = append(out, inputReasons(f)...)
		known := slices.ContainsFunc(f.Inputs, func(in InputExplanation) bool { return in.Known })
		switch {
		case known:
		case len(f.Inputs) == 0:
			out = append(out, fmt.Sprintf("field %q: its version was %q and is %q now", f.Field, f.Stored, f.Expected))
		default:
			out = append(out, fmt.Sprintf("field %q: what it is computed from has changed, and the rows that the stored "+
				"sample was computed from are gone", f.Field))
		}
	}
	if len(out) == 0 {
		out = append(out, "the stored provenance is not the one of the stored fields; "+
			"it was made with another hashing or set by hand")
	}
	return out
}
