package cli

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

func (a *app) historyCommand() *cobra.Command {
	limit, format := 0, ""
	cmd := &cobra.Command{
		Use:   "history",
		Short: "List the graphs that were recorded in the store",
		Long: "Lists the snapshots of the project's graph that were recorded by push, by Metaxy's or ours, the one that was\n" +
			"recorded last first. Without a project in the configuration, those of all projects.",
		Example: a.example("history", "history --limit 5 --format json"),
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, _ []string) error {
			return a.history(ctx, log, limit, format)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "print at most `N` snapshots")
	formatFlag(cmd, &format, "table")
	return cmd
}

// A snapshotText is what history says about one snapshot.
type snapshotText struct {
	Project        string            `json:"project"`
	ProjectVersion string            `json:"project_version"`
	RecordedAt     string            `json:"recorded_at"`
	LastRecordedAt string            `json:"last_recorded_at"`
	FeatureCount   int               `json:"feature_count"`
	Tags           map[string]string `json:"tags"`
}

// jsonTime is how times are written for programs.
const jsonTime = "2006-01-02T15:04:05.000000Z"

func (a *app) history(ctx context.Context, log *slog.Logger, limit int, format string) (err error) {
	if err := checkLimit(limit); err != nil {
		return err
	}
	if format, err = a.chosenFormat(format, "table"); err != nil {
		return err
	}
	c, err := a.loadConfig(log)
	if err != nil {
		return err
	}
	e := &Env{Config: c, Log: log}
	if e.Store, _, err = a.openStore(ctx, e); err != nil {
		return err
	}
	defer closing(e.Store, &err)
	t, err := systemtable.Read(ctx, e.Store)
	if err != nil {
		return err
	}
	snapshots := t.Snapshots(c.Project)
	if limit > 0 {
		snapshots = snapshots[:min(limit, len(snapshots))]
	}
	if format == "json" {
		texts := []snapshotText{}
		for _, s := range snapshots {
			texts = append(texts, describeSnapshot(s))
		}
		return writeJSON(a.stdout, map[string]any{"snapshots": texts})
	}
	if len(snapshots) == 0 {
		_, err = fmt.Fprintln(a.stdout, "no graph was recorded yet; push records one")
		return err
	}
	_, err = fmt.Fprintln(a.stdout, snapshotTable(snapshots).Render())
	return err
}

func describeSnapshot(s systemtable.Snapshot) snapshotText {
	tags := s.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return snapshotText{s.Project, s.Version, s.First.Format(jsonTime), s.Last.Format(jsonTime), s.Features, tags}
}

func snapshotTable(snapshots []systemtable.Snapshot) table.Writer {
	t := newTable()
	t.AppendHeader(table.Row{"project", "project version", "recorded", "again", "features", "tags"})
	for _, s := range snapshots {
		again := ""
		if s.Last.Sub(s.First) > time.Minute { // the rows of one push have times of their own
			again = localTime(s.Last)
		}
		var tags []string
		for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
			tags = append(tags, name+"="+s.Tags[name])
		}
		t.AppendRow(table.Row{
			printable(s.Project), printable(s.Version), localTime(s.First), again, s.Features,
			shorten(printable(strings.Join(tags, " ")), widestCell),
		})
	}
	return t
}

func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
