package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
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
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("explain: expected a FEATURE and one or more IDs, got %q", args)
			}
			return nil
		},
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.explain(ctx, log, args[0], args[1:], format)
		}),
	}
	formatFlag(cmd, &format, "text")
	return cmd
}

func (a *app) explain(ctx context.Context, log *slog.Logger, name string, ids []string, format string) (err error) {
	if format, err = a.chosenFormat(format, "text"); err != nil {
		return err
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
	found, err := engine.Explain(ctx, e.Store, f, samples, engine.Options{Hashing: e.Hashing, MemoryLimit: e.MemoryLimit})
	if err != nil {
		return e.missingTable(ctx, err, f)
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

// idText shows an id: the quoted value of one id column, or col=value of each.
func idText(id map[string]string, columns []string) string {
	if len(columns) == 1 {
		return strconv.Quote(id[columns[0]])
	}
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = c + "=" + id[c]
	}
	return printable(strings.Join(parts, ","))
}
