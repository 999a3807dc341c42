package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// explainJSON writes {"feature":…, "samples":[…]}. What is not known, or not there, is null.
func explainJSON(w io.Writer, f *feature.Feature, found []engine.Explanation) error {
	type input struct {
		Field   string  `json:"field"`
		Now     *string `json:"now"`
		Then    *string `json:"then"`
		Changed *bool   `json:"changed"`
	}
	type field struct {
		Field    feature.Key `json:"field"`
		Changed  *bool       `json:"changed"`
		Expected *string     `json:"expected"`
		Stored   *string     `json:"stored"`
		Inputs   []input     `json:"inputs"`
	}
	type sample struct {
		ID                   map[string]string `json:"id"`
		Verdict              engine.Verdict    `json:"verdict"`
		Reasons              []string          `json:"reasons"`
		Expected             *string           `json:"expected"`
		Stored               *string           `json:"stored"`
		FeatureVersion       string            `json:"feature_version"`
		StoredFeatureVersion *string           `json:"stored_feature_version"`
		Fields               []field           `json:"fields"`
	}
	samples := []sample{}
	for _, x := range found {
		s := sample{x.ID, x.Verdict, append([]string{}, x.Reasons...), orNull(x.Expected), orNull(x.Stored), x.FeatureVersion,
			orNull(x.StoredFeatureVersion), []field{}}
		for _, fd := range x.Fields {
			out := field{fd.Field, nil, orNull(fd.Expected), orNull(fd.Stored), []input{}}
			if compared(x) {
				out.Changed = &fd.Changed
			}
			for _, in := range fd.Inputs {
				one := input{Field: in.Ref.String(), Now: orNull(in.Now)}
				if in.Known {
					one.Then, one.Changed = orNull(in.Then), &in.Changed
				}
				out.Inputs = append(out.Inputs, one)
			}
			s.Fields = append(s.Fields, out)
		}
		samples = append(samples, s)
	}
	return writeJSON(w, struct {
		Feature feature.Key `json:"feature"`
		Samples []sample    `json:"samples"`
	}{f.Key(), samples})
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// compared reports whether a stored row is what the fields are compared with.
func compared(x engine.Explanation) bool {
	if x.Stored != "" {
		return true
	}
	for _, f := range x.Fields {
		if f.Changed || f.Stored != "" {
			return true
		}
	}
	return false
}

// meanings say in a sentence what a verdict is.
var meanings = map[engine.Verdict]string{
	engine.VerdictNew:          "not computed yet; the next run computes it",
	engine.VerdictStale:        "computed from something that has changed since; the next run computes it again",
	engine.VerdictOrphaned:     "computed, but no longer expected; a run with --orphaned delete removes it",
	engine.VerdictUpToDate:     "computed, and nothing that it is computed from has changed",
	engine.VerdictUnresolvable: "cannot be computed before its parents have all versions; runs leave it out",
	engine.VerdictUnknown:      "neither stored nor expected",
}

func meaning(x engine.Explanation) string {
	if x.Verdict == engine.VerdictNew && x.Stored != "" {
		return "computed for another version of the feature; the next run computes it for this one"
	}
	return meanings[x.Verdict]
}

// explainText writes for each sample what it is, why, and a table that compares its fields, and what they are computed
// from, with what is stored.
func explainText(w io.Writer, f *feature.Feature, found []engine.Explanation) error {
	var b strings.Builder
	for i, x := range found {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s %s is %s: %s\n", f.Key(), idText(x.ID, engine.SampleColumns(f)), x.Verdict, meaning(x))
		if x.Verdict != engine.VerdictUpToDate {
			for _, reason := range x.Reasons {
				fmt.Fprintf(&b, "  because %s\n", printable(reason))
			}
		}
		if len(x.Fields) > 0 {
			b.WriteByte('\n')
			fieldTable(&b, x)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// fieldTable shows the old and the new version of each field, and below it those of the parent fields that it is computed
// from.
func fieldTable(b *strings.Builder, x engine.Explanation) {
	var lines strings.Builder
	t := tabwriter.NewWriter(&lines, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintf(t, "  %s\n", strings.Join(cells, "\t")) }
	row("field", "stored", "now", "")
	if x.StoredFeatureVersion != "" && x.StoredFeatureVersion != x.FeatureVersion {
		row("(feature version)", x.StoredFeatureVersion, x.FeatureVersion, "changed")
	}
	for _, f := range x.Fields {
		note := ""
		switch {
		case !compared(x):
		case f.Changed:
			note = "changed"
		default:
			note = "same"
		}
		row(string(f.Field), versionCell(f.Stored), versionCell(f.Expected), note)
		for _, in := range f.Inputs {
			then, note := versionCell(in.Then), "same"
			switch {
			case !compared(x):
				then, note = "-", ""
			case !in.Known:
				then, note = "?", "not known"
			case in.Changed:
				note = "changed"
			}
			row("  from "+in.Ref.String(), then, versionCell(in.Now), note)
		}
	}
	// A strings.Builder takes everything.
	_ = t.Flush()
	for line := range strings.Lines(lines.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
}

// versionCell is a version as it stands in a line of a table.
func versionCell(version string) string {
	return orDash(strings.ReplaceAll(printable(version), "\n", "\u23ce"))
}
