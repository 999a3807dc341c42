package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/preview"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A state is what status says about one feature. What cannot be known is null.
type state struct {
	Feature          feature.Key `json:"feature"`
	Rows             int64       `json:"rows"`
	New              *int64      `json:"new"`
	Stale            *int64      `json:"stale"`
	Orphaned         *int64      `json:"orphaned"`
	Failed           *int64      `json:"failed"`
	DataVersion      *string     `json:"data_version"`
	LastMaterialized *string     `json:"last_materialized"`
	FeatureVersion   string      `json:"feature_version"`
	Root             bool        `json:"root"`
	Table            bool        `json:"table"`
	URI              *string     `json:"uri"`
	Problem          string      `json:"problem,omitempty"`
}

func (a *app) statusCommand() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "status [FEATURE…]",
		Short: "Count rows, new, stale and orphaned samples of each feature",
		Long: "Counts for each feature the current rows and the samples that are new, stale or orphaned, and says when it\n" +
			"was last written. Root features have rows only. Failed samples are not written, so they count as new or\n" +
			"stale again; beside that, how many there were in the last run. A Dagster step that launched it through Pipes\n" +
			"gets the same as a custom message.",
		Example: a.example("status", "status video/crop --format json"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			states, err := a.status(ctx, log, args, format)
			if a.program.Tell != nil {
				ctx = context.WithoutCancel(ctx)
				err = errors.Join(err, a.program.Tell(ctx, map[string]any{"status": states}, err))
			}
			return err
		}),
	}
	formatFlag(cmd, &format, "table")
	return cmd
}

// previewRows is how many rows Dagster shows.
const previewRows = 5

// A toldState is a state with what Dagster shows beside it.
type toldState struct {
	state
	Store *Origin `json:"store"`
	preview.Preview
}

func (a *app) status(
	ctx context.Context, log *slog.Logger, args []string, format string,
) (told []toldState, err error) {
	if format, err = a.chosenFormat(format, "table"); err != nil {
		return nil, err
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return nil, err
	}
	defer closing(e.Store, &err)
	features, err := e.features(args)
	if err != nil {
		return nil, err
	}
	states := []state{}
	for _, f := range features {
		s, err := e.state(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("status of %s: %w", f.Key(), err)
		}
		told, states = append(told, s), append(states, s.state)
	}
	if format == "json" {
		return told, writeJSON(a.stdout, map[string]any{"features": states})
	}
	_, err = fmt.Fprintln(a.stdout, stateTable(states).Render())
	return told, err
}

// state counts one feature. A missing table of it or its parents is a state, not an error.
func (e *Env) state(ctx context.Context, f *feature.Feature) (toldState, error) {
	s := toldState{state: state{Feature: f.Key(), FeatureVersion: f.Version(), Root: f.Root()}}
	var own store.Reader = e.Store
	if !f.Root() && !f.External() {
		own = store.Local(own) // what resolve compares with
	}
	snap, err := own.Snapshot(ctx, f.Key())
	if err != nil && !errors.Is(err, store.ErrNoTable) {
		return s, err
	}
	if s.Table = err == nil; s.Table {
		if err := e.Hashing.Check(snap, f.Key()); err != nil {
			return s, err
		}
		d, err := engine.DataVersion(ctx, snap, f)
		if err != nil {
			return s, err
		}
		uri := snap.URI()
		s.Rows, s.DataVersion, s.URI = d.Rows, &d.Version, &uri
		origin := e.StoreInfo.Table(uri)
		s.Store = &origin
		newest, err := engine.Newest(ctx, snap, f, previewRows, engine.Part{})
		if err != nil {
			return s, err
		}
		if s.Preview, err = preview.Of(ctx, snap, f, newest); err != nil {
			return s, err
		}
		if !d.LastUpdated.IsZero() {
			text := d.LastUpdated.UTC().Format("2006-01-02T15:04:05.000000Z")
			s.LastMaterialized = &text
		}
	}
	if f.Root() || f.External() {
		return s, nil
	}
	inc, err := engine.Resolve(ctx, e.Store, f, engine.Options{Hashing: e.Hashing, MemoryLimit: e.MemoryLimit})
	if errors.Is(err, store.ErrNoTable) || errors.Is(err, engine.ErrPlan) {
		s.Problem = e.missingTable(ctx, err, f).Error()
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if s.Table {
		failed := engine.Failed(snap)
		s.Failed = &failed
	}
	s.New, s.Stale, s.Orphaned = count(inc, engine.New), count(inc, engine.Stale), count(inc, engine.Orphaned)
	return s, nil
}

func count(inc *engine.Increment, s engine.Status) *int64 {
	n := inc.Count(s)
	return &n
}

func stateTable(states []state) table.Writer {
	t := newTable()
	t.AppendHeader(table.Row{"feature", "rows", "new", "stale", "orphaned", "failed", "last materialized", ""})
	for _, s := range states {
		when, note := "never", s.Problem
		if s.LastMaterialized != nil {
			when = *s.LastMaterialized
			if at, err := time.Parse(time.RFC3339Nano, when); err == nil {
				when = at.Local().Format("2006-01-02 15:04:05")
			}
		}
		if s.Root {
			note = "root"
		}
		t.AppendRow(table.Row{
			s.Feature, s.Rows, orUnknown(s.New), orUnknown(s.Stale), orUnknown(s.Orphaned), orUnknown(s.Failed), when,
			shorten(printable(note), widestCell),
		})
	}
	return t
}

func orUnknown(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}
