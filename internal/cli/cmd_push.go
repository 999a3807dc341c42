package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

func (a *app) pushCommand() *cobra.Command {
	var tags []string
	format := ""
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Record the graph in the store",
		Long: "Records the features of the project in the store's system table, as Metaxy's push does, so that history and\n" +
			"diff, Metaxy, and programs without feature files know them. A graph that is recorded last already is not\n" +
			"recorded again. Prints the project version.",
		Example: a.example("push", "push --tag git_commit=abc123 --format json"),
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, _ []string) error {
			return a.push(ctx, log, tags, format)
		}),
	}
	cmd.Flags().StringArrayVar(&tags, "tag", nil, "`NAME=VALUE` to note with the snapshot; may be repeated")
	cmd.Flags().StringVar(&format, "format", "", "text or json (default: text)")
	return cmd
}

// A pushed is what push prints for programs.
type pushed struct {
	Project         string        `json:"project"`
	ProjectVersion  string        `json:"project_version"`
	AlreadyPushed   bool          `json:"already_pushed"`
	UpdatedFeatures []feature.Key `json:"updated_features"`
	Recorded        int           `json:"recorded"`
}

func (a *app) push(ctx context.Context, log *slog.Logger, tags []string, format string) (err error) {
	if format != "" && format != "text" && format != "json" {
		return unknownFormat(format, []string{"text", "json"})
	}
	o := systemtable.PushOptions{}
	if o.Tags, err = parseTags(tags); err != nil {
		return err
	}
	e, src, err := a.openGraph(log)
	if err != nil {
		return err
	}
	if len(src.local) == 0 {
		return setupf("push: no features but those that the store may hold already; give --features FILE")
	}
	st, h, err := a.openStore(ctx, e)
	if err != nil {
		return err
	}
	e.Store = st
	defer closing(e.Store, &err)
	if err := e.ask(ctx, st, h, src); err != nil {
		return err
	}
	result, err := systemtable.Push(ctx, e.Store, e.Graph, o)
	if err != nil {
		return err
	}
	if format == "json" {
		updated := result.Updated
		if updated == nil {
			updated = []feature.Key{}
		}
		return writeJSON(e.Stdout, pushed{
			result.Project, result.ProjectVersion, result.AlreadyPushed, updated, result.Recorded,
		})
	}
	if err := tellPush(e.Stderr, result); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.Stdout, result.ProjectVersion)
	return err
}

// parseTags reads NAME=VALUE texts. A name that stands twice has its last value, in the first place.
func parseTags(texts []string) ([]systemtable.Tag, error) {
	var tags []systemtable.Tag
	place := map[string]int{}
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, setupf("--tag %q: expected NAME=VALUE", text)
		}
		if at, twice := place[name]; twice {
			tags[at].Value = value
			continue
		}
		place[name] = len(tags)
		tags = append(tags, systemtable.Tag{Name: name, Value: value})
	}
	return tags, nil
}

// tellPush says in words what a push did, in those of Metaxy.
func tellPush(w io.Writer, r systemtable.PushResult) error {
	text := "Recorded feature graph"
	switch {
	case len(r.Updated) > 0:
		text = "Updated feature information (no topological changes):"
		for _, key := range r.Updated {
			text += "\n  - " + string(key)
		}
	case r.AlreadyPushed:
		text = "Snapshot already recorded (no changes)"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
