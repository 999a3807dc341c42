package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func (a *app) logCommand() *cobra.Command {
	limit, files, format := 0, false, ""
	cmd := &cobra.Command{
		Use:   "log FEATURE",
		Short: "List the commits of a feature's table",
		Long: "Lists the commits of a feature's table that its log still holds, the newest first: when each was made, by which\n" +
			"program and operation, and the rows and data files that it added and took out.",
		Example: a.example("log video/crop --limit 10", "log video/crop --format json"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.listCommits(ctx, log, args[0], limit, files, format)
		}),
	}
	cmd.Flags().IntVar(&limit, "limit", 0, "print at most `N` commits")
	cmd.Flags().BoolVar(&files, "files", false, "in the table, a line for each data file too; JSON has them always")
	formatFlag(cmd, &format, "table")
	return cmd
}

func (a *app) listCommits(ctx context.Context, log *slog.Logger, name string, limit int, files bool, format string) (err error) {
	if err := checkLimit(limit); err != nil {
		return err
	}
	if format, err = a.chosenFormat(format, "table"); err != nil {
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
	commits, uri, err := e.commits(ctx, f)
	if err != nil {
		return ownTable(fmt.Errorf("log of %s: %w", f.Key(), err), f)
	}
	if limit > 0 {
		commits = commits[:min(limit, len(commits))]
	}
	if format == "json" {
		return writeJSON(a.stdout, map[string]any{"feature": f.Key(), "uri": uri, "commits": commits})
	}
	_, err = fmt.Fprintln(a.stdout, commitTable(commits, files).Render())
	return err
}

// commits reads the log of a feature's own table.
func (e *Env) commits(ctx context.Context, f *feature.Feature) ([]commitText, string, error) {
	local := store.Local(e.Store)
	k, ok := local.(keeper)
	if !ok {
		return nil, "", setupf("log: this store keeps no history of its tables")
	}
	snap, err := local.Snapshot(ctx, f.Key())
	if err != nil {
		return nil, "", err
	}
	var commits []commitText
	for entry, err := range k.History(ctx, f.Key()) {
		if err != nil {
			return nil, "", err
		}
		commits = append(commits, describeCommit(entry))
	}
	countRows(commits)
	return commits, snap.URI(), nil
}

func commitTable(commits []commitText, files bool) table.Writer {
	t := newTable()
	t.AppendHeader(table.Row{"version", "time", "operation", "by", "rows", "", "files", "", ""})
	for _, c := range commits {
		t.AppendRow(table.Row{
			c.Version, localTime(c.time), shorten(printable(c.title()), widestCell), shorten(printable(c.Engine), widestCell),
			signed('+', c.RowsAdded), signed('-', c.RowsRemoved), fmt.Sprintf("+%d", c.FilesAdded), fmt.Sprintf("-%d", c.FilesRemoved),
			shorten(printable(c.note()), widestCell),
		})
		for _, f := range c.Files {
			if files {
				sign, rows := byte('+'), f.Rows
				if f.Action == "remove" {
					sign = '-'
				}
				t.AppendRow(table.Row{"", "", "  " + printable(f.Path), "", signed(sign, rows), "", "", "", bytesText(f.Bytes)})
			}
		}
	}
	return t
}

// signed is a count with its sign; what is not known is a question mark.
func signed(sign byte, n *int64) string {
	if n == nil {
		return string(sign) + "?"
	}
	return fmt.Sprintf("%c%d", sign, *n)
}

func bytesText(n *int64) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%d bytes", *n)
}

// title is the operation in the words of the log, and what our own commands call it.
func (c *commitText) title() string {
	if own := c.info("info.operation"); own != "" {
		return c.Operation + " (" + own + ")"
	}
	return c.Operation
}

// note is what else people want to know.
func (c *commitText) note() string {
	var parts []string
	for _, name := range []string{"materialization_id", "shard", "filter"} {
		if text := c.info(name); text != "" {
			parts = append(parts, name+"="+text)
		}
	}
	var parameters struct {
		Predicate any `json:"predicate"`
	}
	if err := json.Unmarshal(c.Parameters, &parameters); err == nil && parameters.Predicate != nil && parameters.Predicate != "" {
		parts = append(parts, fmt.Sprint(parameters.Predicate))
	}
	return strings.Join(parts, " ")
}

// info is a text that the writer noted.
func (c *commitText) info(name string) string {
	var text string
	if err := json.Unmarshal(c.Info[name], &text); err != nil {
		return ""
	}
	return text
}
