package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/ingest"
)

type ingestFlags struct {
	from     string
	format   string
	idFrom   string
	hash     string
	versions []string
	prune    bool

	materialization string
}

func (a *app) ingestCommand() *cobra.Command {
	var f ingestFlags
	cmd := &cobra.Command{
		Use:   "ingest FEATURE --from SRC",
		Short: "Feed a root feature from a file or a listing",
		Long: "Appends the samples of SRC that are new or have changed. SRC is a JSONL, CSV or Parquet file (- reads JSON\n" +
			"lines from standard input), or a folder, a pattern or an s3:// location, where each object is a sample.\n" +
			"The counts are the last line on stderr.",
		Example: a.example("ingest video --from videos.jsonl --version audio=audio_sha --version frames=etag,size",
			"ingest video --from 's3://bucket/raw/*.mp4' --id-from '{stem}' --prune",
			`ingest video --from 'raw/**/*.mp4' --id-from '(?P<id>[^/]+)\.mp4$'`),
		Args: oneFeature,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.ingest(ctx, log, args[0], f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "`SRC`: a file, a folder, a pattern, an s3:// location, or -")
	flags.StringVar(&f.format, "from-format", "", "jsonl, json, csv, parquet or listing (default: by the name)")
	flags.StringVar(&f.idFrom, "id-from", "",
		"ids of a listing: a template of {stem}, {name}, {path}, or a `REGEXP` with named groups (default {stem})")
	flags.StringVar(&f.hash, "hash", "", "`content`: a hash of each listed object's content is its version")
	flags.StringArrayVar(&f.versions, "version", nil,
		"`FIELD=COLUMN[,COLUMN…]` that hold the field's version; may be repeated")
	materializationFlag(cmd, &f.materialization)
	flags.BoolVar(&f.prune, "prune", false, "soft-delete stored samples that SRC does not have")
	return cmd
}

func (a *app) ingest(ctx context.Context, log *slog.Logger, name string, flags ingestFlags) (err error) {
	if flags.from == "" {
		return setupf("ingest needs --from SRC: a file, a folder, a pattern such as 'videos/*.mp4', or an s3:// location")
	}
	if flags.hash != "" && flags.hash != "content" {
		return setupf("--hash %q: expected content", flags.hash)
	}
	versions, err := parseVersions(flags.versions)
	if err != nil {
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
	version, err := e.projectVersion()
	if err != nil {
		return err
	}
	source := ingest.SourceOptions{
		From: flags.from, Format: flags.format, IDFrom: flags.idFrom, IDColumns: f.Spec().IDColumns,
		ContentHash: flags.hash == "content", Stdin: e.Stdin,
	}
	if sc, err := e.Config.Locate(a.global.store); err == nil {
		source.S3 = sc.S3
	}
	src, err := ingest.Open(ctx, source)
	if errors.Is(err, ingest.ErrSetup) {
		return err
	}
	if err != nil {
		return fmt.Errorf("ingest %s from %s: %w", f.Key(), ingest.Shown(flags.from), err)
	}
	defer closing(src, &err)
	res, err := ingest.Run(ctx, ingest.Options{
		Feature: f, Store: e.Store, Hashing: e.Hashing, ProjectVersion: version, Source: src,
		MaterializationID: e.materialization(flags.materialization), Versions: versions, Prune: flags.prune, Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("ingest %s from %s: %w", f.Key(), ingest.Shown(flags.from), err)
	}
	e.tidy(ctx, f)
	_, err = fmt.Fprintf(e.Stderr, "new=%d stale=%d unchanged=%d removed=%d\n",
		res.New, res.Stale, res.Unchanged, res.Removed)
	return err
}

// parseVersions reads FIELD=COLUMN[,COLUMN…].
func parseVersions(texts []string) (map[feature.Key][]string, error) {
	versions := map[feature.Key][]string{}
	for _, text := range texts {
		name, list, ok := strings.Cut(text, "=")
		field, err := feature.ParseKey(name)
		columns := strings.Split(list, ",")
		for _, c := range columns {
			if c == "" {
				err = errors.Join(err, errors.New("a column has no name"))
			}
		}
		if !ok || err != nil {
			return nil, setupf("--version %q: expected FIELD=COLUMN[,COLUMN…]", text)
		}
		if _, twice := versions[field]; twice {
			return nil, setupf("--version names the field %q twice", field)
		}
		versions[field] = columns
	}
	return versions, nil
}
