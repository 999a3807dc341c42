package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/feature/graphdiff"
	"github.com/metaxy-pipes/metaxy-pipes/internal/forecast"
)

// A difference is what diff has found.
type difference struct {
	from, to  *side
	changes   []graphdiff.Change
	forecasts []forecast.Forecast // parents first; nil if nothing was counted
}

// The forms in which programs read it.
type (
	differenceText struct {
		Project  string       `json:"project"`
		From     sideText     `json:"from"`
		To       sideText     `json:"to"`
		Changed  bool         `json:"changed"`
		Stale    *int64       `json:"stale"`
		Features []changeText `json:"features"`
	}
	sideText struct {
		ProjectVersion string  `json:"project_version"`
		RecordedAt     *string `json:"recorded_at"`
		Current        bool    `json:"current"`
	}
	changeText struct {
		Feature              feature.Key       `json:"feature"`
		Status               graphdiff.Status  `json:"status"`
		OldVersion           *string           `json:"old_version"`
		NewVersion           *string           `json:"new_version"`
		OldDefinitionVersion *string           `json:"old_definition_version"`
		NewDefinitionVersion *string           `json:"new_definition_version"`
		Fields               []fieldChangeText `json:"fields"`
		Affected             bool              `json:"affected"`
		Rows                 *int64            `json:"rows"`
		Stale                *int64            `json:"stale"`
		New                  *int64            `json:"new"`
		Orphaned             *int64            `json:"orphaned"`
		AtLeast              bool              `json:"at_least"`
		Problem              string            `json:"problem,omitempty"`
	}
	fieldChangeText struct {
		Field          feature.Key      `json:"field"`
		Status         graphdiff.Status `json:"status"`
		OldVersion     *string          `json:"old_version"`
		NewVersion     *string          `json:"new_version"`
		OldCodeVersion *string          `json:"old_code_version"`
		NewCodeVersion *string          `json:"new_code_version"`
	}
)

// texts is the difference for programs. What cannot be known is null.
func (d *difference) texts() differenceText {
	out := differenceText{Project: d.to.project, From: d.from.text(), To: d.to.text(), Features: []changeText{}}
	if d.forecasts != nil {
		out.Stale = new(int64)
	}
	for _, c := range d.changes {
		t := changeText{Feature: c.Key, Status: c.Status, Fields: []fieldChangeText{}}
		if c.From != nil {
			t.OldVersion, t.OldDefinitionVersion = textOrNull(c.From.Version()), textOrNull(c.From.DefinitionVersion())
		}
		if c.To != nil {
			t.NewVersion, t.NewDefinitionVersion = textOrNull(c.To.Version()), textOrNull(c.To.DefinitionVersion())
		}
		for _, f := range c.Fields {
			t.Fields = append(t.Fields, fieldChangeText{f.Key, f.Status, textOrNull(f.OldVersion), textOrNull(f.NewVersion),
				textOrNull(f.OldCodeVersion), textOrNull(f.NewCodeVersion)})
		}
		out.Changed = out.Changed || c.Status != graphdiff.Unchanged
		if fc, ok := d.forecast(c.Key); ok {
			t.count(fc)
			if t.Stale != nil {
				*out.Stale += *t.Stale
			}
		}
		out.Features = append(out.Features, t)
	}
	return out
}

func (s *side) text() sideText {
	t := sideText{ProjectVersion: s.version(), Current: s.snapshot == nil}
	if s.snapshot != nil {
		at := s.snapshot.Last.Format(jsonTime)
		t.RecordedAt = &at
	}
	return t
}

func (t *changeText) count(fc forecast.Forecast) {
	t.Affected, t.AtLeast = fc.Affected, fc.AtLeast
	if fc.Problem != nil {
		t.Problem = fc.Problem.Error()
		return
	}
	t.Stale, t.New, t.Orphaned = &fc.Stale, &fc.New, &fc.Orphaned
	if fc.Affected {
		t.Rows = &fc.Rows
	}
}

// own leaves out features of other projects, unless both graphs have them, in different forms.
func own(changes []graphdiff.Change) []graphdiff.Change {
	return slices.DeleteFunc(changes, func(c graphdiff.Change) bool {
		ours := c.From != nil && !c.From.External() || c.To != nil && !c.To.External()
		return !ours && c.Status != graphdiff.Changed
	})
}

func (d *difference) forecast(key feature.Key) (forecast.Forecast, bool) {
	i := slices.IndexFunc(d.forecasts, func(f forecast.Forecast) bool { return f.Feature.Key() == key })
	if i < 0 {
		return forecast.Forecast{}, false
	}
	return d.forecasts[i], true
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// text is the difference for people.
func (d *difference) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "project %s  %s -> %s\n", orDash(d.to.project), d.from.name(), d.to.name())
	changed := false
	for _, c := range d.changes {
		if c.Status != graphdiff.Unchanged {
			changed = true
			writeChange(&b, c)
		}
	}
	if !changed {
		b.WriteString("\nnothing has changed\n")
	}
	first := true
	for _, fc := range d.forecasts {
		if !fc.Affected {
			continue
		}
		if first {
			b.WriteString("\nsamples that this makes stale\n")
			first = false
		}
		fmt.Fprintf(&b, "  %s: %s\n", fc.Feature.Key(), sentence(fc))
	}
	return b.String()
}

// name is the side's version, cut to what people compare, and whose it is.
func (s *side) name() string {
	if s.snapshot == nil {
		return shortVersion(s.version()) + " (current)"
	}
	return fmt.Sprintf("%s (recorded %s)", shortVersion(s.version()), localTime(s.snapshot.Last))
}

func shortVersion(v string) string { return v[:min(len(v), 12)] }

func writeChange(b *strings.Builder, c graphdiff.Change) {
	switch c.Status {
	case graphdiff.Added:
		fmt.Fprintf(b, "\n+ %s  %s\n", c.Key, shortVersion(c.To.Version()))
	case graphdiff.Removed:
		fmt.Fprintf(b, "\n- %s  %s\n", c.Key, shortVersion(c.From.Version()))
	case graphdiff.Changed:
		if !c.Versioned() {
			fmt.Fprintf(b, "\n~ %s  %s, with another definition\n", c.Key, shortVersion(c.To.Version()))
			return
		}
		fmt.Fprintf(b, "\n~ %s  %s -> %s\n", c.Key, shortVersion(c.From.Version()), shortVersion(c.To.Version()))
		for _, f := range c.Fields {
			code := ""
			if f.OldCodeVersion != f.NewCodeVersion {
				code = fmt.Sprintf("  code %s -> %s", orDash(f.OldCodeVersion), orDash(f.NewCodeVersion))
			}
			fmt.Fprintf(b, "    field %s %s%s\n", f.Key, f.Status, code)
		}
	}
}

// sentence says what will become of a feature's samples.
func sentence(fc forecast.Forecast) string {
	if fc.Problem != nil {
		return "not known: " + fc.Problem.Error()
	}
	text := fmt.Sprintf("%d of %d stored samples", fc.Stale, fc.Rows)
	if fc.Feature.Root() {
		text += ", to be ingested again"
	}
	if fc.New > 0 {
		text += fmt.Sprintf(", and %d that are new", fc.New)
	}
	if fc.Orphaned > 0 {
		text += fmt.Sprintf("; %d orphaned", fc.Orphaned)
	}
	if fc.AtLeast {
		text += "; or more, since expanded samples cannot be counted before"
	}
	return text
}
