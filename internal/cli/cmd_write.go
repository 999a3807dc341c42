package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/internal/ingest"
	"github.com/metaxy-pipes/metaxy-pipes/metadata"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

type writeFlags struct {
	from            string
	format          string
	materialization string
	preserve        bool
}

func (a *app) writeCommand() *cobra.Command {
	var f writeFlags
	cmd := &cobra.Command{
		Use:   "write FEATURE --from FILE",
		Short: "Append computed rows from a file",
		Long: "Appends the rows of a JSONL, CSV or Parquet file (- reads JSON lines from standard input), in the shape that\n" +
			"read and resolve print. A row needs the id columns and metaxy_provenance_by_field; the other system columns\n" +
			"are filled in, and data versions, metaxy_provenance and metaxy_created_at are kept if they are given. The\n" +
			"column status, which resolve prints, is ignored. The number of rows is the last line on stderr.",
		Example: a.example("write video/crop --from crops.jsonl", "write video/crop --from - --materialization-id run-7 < crops.jsonl"),
		Args:    oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.write(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "`FILE`: a file or an s3:// object, or -")
	flags.StringVar(&f.format, "from-format", "", "jsonl, json, csv or parquet (default: by the name)")
	materializationFlag(cmd, &f.materialization)
	flags.BoolVar(&f.preserve, "preserve-feature-version", false,
		"keep the metaxy_feature_version and metaxy_project_version of rows that have both")
	return cmd
}

// materializationFlag adds the flag of a command that writes rows.
func materializationFlag(cmd *cobra.Command, id *string) {
	cmd.Flags().StringVar(id, "materialization-id", "", "`ID` that is stored with every row (default: the configuration's)")
}

// materialization is the id to store with every row: the one given, or the configuration's.
func (e *Env) materialization(given string) string {
	return cmp.Or(given, e.Config.Pipes.MaterializationID)
}

func (a *app) write(ctx context.Context, log *slog.Logger, name string, flags writeFlags) (err error) {
	if flags.from == "" {
		return setupf("write needs --from FILE: a .jsonl, .csv or .parquet file, or - for JSON lines on standard input")
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	t, err := e.table(name, flags.materialization)
	if err != nil {
		return err
	}
	source := ingest.SourceOptions{From: flags.from, Format: flags.format, Rows: true, Stdin: e.Stdin}
	if sc, err := e.Config.Locate(a.global.store); err == nil {
		source.S3 = sc.S3
	}
	src, err := ingest.Open(ctx, source)
	if errors.Is(err, ingest.ErrSetup) {
		return setupf("write %s: %s", t.Feature.Key(), strings.TrimPrefix(err.Error(), ingest.ErrSetup.Error()+": "))
	}
	if err != nil {
		return fmt.Errorf("write %s from %s: %w", t.Feature.Key(), ingest.Shown(flags.from), err)
	}
	defer closing(src, &err)
	rows, err := e.writeFrom(ctx, t, src, flags.preserve)
	if err != nil {
		return fmt.Errorf("write %s from %s: %w", t.Feature.Key(), ingest.Shown(flags.from), err)
	}
	e.tidy(ctx, t.Feature)
	_, err = fmt.Fprintf(e.Stderr, "rows=%d\n", rows)
	return err
}

func (e *Env) writeFrom(ctx context.Context, t *metadata.Table, src ingest.Source, preserve bool) (int64, error) {
	snap, err := store.Local(e.Store).Snapshot(ctx, t.Feature.Key())
	if err != nil && !errors.Is(err, store.ErrNoTable) {
		return 0, err
	}
	var have *arrow.Schema
	if err == nil {
		have = snap.Schema()
	}
	rows := &givenRows{source: src, table: have, feature: t.Feature}
	c, err := t.Write(ctx, rows.all(ctx), metadata.WriteOptions{PreserveFeatureVersion: preserve, FillNulls: true})
	return c.Rows, err
}

// table is the stored rows of the named feature, to be written.
func (e *Env) table(name, materialization string) (*metadata.Table, error) {
	f, err := e.feature(name)
	if err != nil {
		return nil, err
	}
	version, err := e.projectVersion()
	if err != nil {
		return nil, err
	}
	return &metadata.Table{Store: e.Store, Feature: f, Hashing: e.Hashing, ProjectVersion: version,
		MaterializationID: e.materialization(materialization), Now: time.Now}, nil
}

// projectVersion is the version of the graph that is stored with rows.
func (e *Env) projectVersion() (string, error) {
	project, err := e.Graph.Project()
	if err != nil {
		return "", err
	}
	return e.Graph.ProjectVersion(project), nil
}
