package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

func (a *app) explainCommand() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "explain FEATURE ID…",
		Short: "Say why a sample is new, stale, orphaned or up to date",
		Long: "Says of each sample why it is, or is not, in the increment: which field, because of which parent field, code\n" +
			"version or dependency, old and new version side by side. An ID is the value of the id column; of several id\n" +
			"columns it is col=value,col=value, or a JSON object.",
		Example: a.example("explain video/crop video_001", `explain video/frames '{"video": "a,b", "frame": 7}' --format json`),
		Args:    cobra.MinimumNArgs(2),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.explain(ctx, log, args[0], args[1:], format)
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "text or json (default: text on a terminal, else json)")
	return cmd
}

func (a *app) explain(ctx context.Context, log *slog.Logger, name string, ids []string, format string) (err error) {
	switch {
	case format == "" && terminal(a.stdout):
		format = "text"
	case format == "":
		format = "json"
	case format != "text" && format != "json":
		return unknownFormat(format, []string{"text", "json"})
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	f, err := e.feature(name)
	if err != nil {
		return err
	}
	if f.Root() {
		return setupf("%s is a root feature: its samples come from outside, so there is nothing to compare them with; "+
			"%s read %s shows what is stored", f.Key(), a.program.Name, f.Key())
	}
	samples := make([]map[string]string, len(ids))
	for i, id := range ids {
		if samples[i], err = parseID(id, engine.SampleColumns(f)); err != nil {
			return setupf("id %q: %w", id, err)
		}
	}
	found, err := engine.Explain(ctx, e.Store, f, samples, engine.Options{Hashing: e.Hashing})
	if err != nil {
		return err
	}
	if format == "json" {
		return explainJSON(a.stdout, f, found)
	}
	return explainText(a.stdout, f, found)
}

// parseID reads a sample's id as it stands on the command line.
func parseID(text string, columns []string) (map[string]string, error) {
	if strings.HasPrefix(text, "{") {
		id, err := parseJSONID(text)
		if err == nil && !sameColumns(id, columns) {
			err = fmt.Errorf("expected a value for exactly the id columns %s", strings.Join(columns, ", "))
		}
		if err == nil || len(columns) > 1 {
			return id, err
		}
	}
	if len(columns) == 1 {
		return map[string]string{columns[0]: text}, nil
	}
	id := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		if _, twice := id[name]; !ok || twice {
			id = nil
			break
		}
		id[name] = value
	}
	if !sameColumns(id, columns) {
		return nil, fmt.Errorf("expected %s=VALUE, or a JSON object with these members", strings.Join(columns, "=VALUE,"))
	}
	return id, nil
}

func sameColumns(id map[string]string, columns []string) bool {
	return len(id) == len(columns) && !slices.ContainsFunc(columns, func(c string) bool { _, ok := id[c]; return !ok })
}

func parseJSONID(text string) (map[string]string, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &members); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	id := map[string]string{}
	for name, raw := range members {
		value := string(raw)
		if raw[0] == '"' {
			if err := json.Unmarshal(raw, &value); err != nil {
				return nil, fmt.Errorf("read JSON: %w", err)
			}
		}
		id[name] = value
	}
	return id, nil
}

// explainJSON writes {"feature":…, "samples":[…]}.
func explainJSON(w io.Writer, f *feature.Feature, found []engine.Explanation) error {
	type input struct {
		Field   string  `json:"field"`
		Now     string  `json:"now"`
		Then    *string `json:"then"`
		Changed *bool   `json:"changed"`
	}
	type field struct {
		Field    feature.Key `json:"field"`
		Changed  bool        `json:"changed"`
		Expected string      `json:"expected"`
		Stored   string      `json:"stored"`
		Inputs   []input     `json:"inputs"`
	}
	type sample struct {
		ID                   map[string]string `json:"id"`
		Verdict              engine.Verdict    `json:"verdict"`
		Reasons              []string          `json:"reasons"`
		Expected             string            `json:"expected"`
		Stored               string            `json:"stored"`
		FeatureVersion       string            `json:"feature_version"`
		StoredFeatureVersion string            `json:"stored_feature_version"`
		Fields               []field           `json:"fields"`
	}
	samples := []sample{}
	for _, x := range found {
		s := sample{x.ID, x.Verdict, append([]string{}, x.Reasons...), x.Expected, x.Stored, x.FeatureVersion,
			x.StoredFeatureVersion, []field{}}
		for _, fd := range x.Fields {
			out := field{fd.Field, fd.Changed, fd.Expected, fd.Stored, []input{}}
			for _, in := range fd.Inputs {
				one := input{Field: in.Ref.String(), Now: in.Now}
				if in.Known {
					one.Then, one.Changed = &in.Then, &in.Changed
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

func explainText(w io.Writer, f *feature.Feature, found []engine.Explanation) error {
	var b strings.Builder
	for i, x := range found {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s %s: %s\n", f.Key(), idText(x.ID, engine.SampleColumns(f)), x.Verdict)
		for _, reason := range x.Reasons {
			fmt.Fprintf(&b, "  %s\n", printable(reason))
		}
		for _, fd := range x.Fields {
			mark := " "
			if fd.Changed {
				mark = "*"
			}
			fmt.Fprintf(&b, "%s field %s: stored %s, expected %s\n", mark, fd.Field, orDash(printable(fd.Stored)), orDash(printable(fd.Expected)))
			for _, in := range fd.Inputs {
				then := "unknown"
				if in.Known {
					then = orDash(printable(in.Then))
				}
				mark := " "
				if in.Known && in.Changed {
					mark = "*"
				}
				fmt.Fprintf(&b, "%s   %s: was %s, is %s\n", mark, in.Ref, then, orDash(printable(in.Now)))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// idText shows an id in the form in which explain reads it.
func idText(id map[string]string, columns []string) string {
	if len(columns) == 1 {
		return printable(id[columns[0]])
	}
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = c + "=" + id[c]
	}
	return printable(strings.Join(parts, ","))
}
