package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
)

// shortRetain is the retention below which readers and writers may still be at work on what vacuum deletes.
const shortRetain = time.Hour

type vacuumFlags struct {
	retain time.Duration
	dryRun bool
	yes    bool
	format string
}

// A vacuumer is a store whose tables have files that nobody needs any more.
type vacuumer interface {
	Vacuum(ctx context.Context, key feature.Key, v s3parquet.Vacuuming) (s3parquet.Vacuumed, error)
}

func (a *app) vacuumCommand() *cobra.Command {
	var f vacuumFlags
	cmd := &cobra.Command{
		Use:   "vacuum [FEATURE…]",
		Short: "Delete the files that no recent version of a table needs",
		Long: "Deletes the data files that were replaced (by optimize, restore or a hard deletion) longer ago than --retain,\n" +
			"and those as old that no version names, which killed writers leave behind. Then it deletes the log before the\n" +
			"newest checkpoint that is older than --retain and than 30 days (the table's delta.logRetentionDuration), and last\n" +
			"what killed writers have begun and not completed: temporary files, and on S3, where the credentials allow to list\n" +
			"them, uploads in parts. Versions that are older cannot be read or restored afterwards. A retention under an hour may take files from\n" +
			"readers, and from writers before their commit, so it needs --yes.",
		Example: a.example("vacuum --dry-run", "vacuum video/crop --retain 720h"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.vacuum(ctx, log, args, f)
		}),
	}
	flags := cmd.Flags()
	flags.DurationVar(&f.retain, "retain", 168*time.Hour, "for how long a version that is replaced can still be read")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be deleted, and delete nothing")
	flags.BoolVar(&f.yes, "yes", false, "no reader or writer is at work: a retention under an hour is meant")
	formatFlag(cmd, &f.format, "table")
	return cmd
}

// A vacuumedTable is what vacuum says about one feature.
type vacuumedTable struct {
	Feature  feature.Key `json:"feature"`
	Files    int         `json:"files"`
	Bytes    int64       `json:"bytes"`
	LogFiles int         `json:"log_files"`
	Names    []string    `json:"names"`
	// Unfinished counts what killed writers had begun: temporary files, uploads to S3.
	Unfinished int `json:"unfinished"`
}

func (a *app) vacuum(ctx context.Context, log *slog.Logger, args []string, flags vacuumFlags) (err error) {
	format, err := a.chosenFormat(flags.format, "table")
	switch {
	case err != nil:
		return err
	case flags.retain < 0:
		return setupf("--retain %s: expected a duration from 0", flags.retain)
	case flags.retain < shortRetain && !flags.yes && !flags.dryRun:
		return setupf("--retain %s may delete what readers and writers still need: give --yes if none is at work, or retain %s or more",
			flags.retain, shortRetain)
	}
	e, err := a.open(ctx, log)
	if err != nil {
		return err
	}
	defer closing(e.Store, &err)
	st, ok := store.Local(e.Store).(vacuumer)
	if !ok {
		return setupf("this store has nothing to vacuum")
	}
	tables, sum := []vacuumedTable{}, s3parquet.Vacuumed{}
	err = e.eachTable(args, func(f *feature.Feature) error {
		v, err := st.Vacuum(ctx, f.Key(), s3parquet.Vacuuming{Retain: flags.retain, DryRun: flags.dryRun})
		if err != nil {
			return err
		}
		tables = append(tables, vacuumedTable{f.Key(), v.Files, v.Bytes, v.LogFiles, append([]string{}, v.Names...), v.Unfinished})
		sum.Files, sum.Bytes, sum.LogFiles = sum.Files+v.Files, sum.Bytes+v.Bytes, sum.LogFiles+v.LogFiles
		return nil
	})
	if err != nil {
		return err
	}
	if format == "json" {
		err = writeJSON(a.stdout, map[string]any{"features": tables, "dry_run": flags.dryRun})
	} else {
		t := newTable()
		t.AppendHeader([]any{"feature", "data files", "bytes", "log files", "unfinished"})
		for _, v := range tables {
			t.AppendRow([]any{v.Feature, v.Files, v.Bytes, v.LogFiles, v.Unfinished})
		}
		_, err = fmt.Fprintln(a.stdout, t.Render())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.Stderr, "files=%d bytes=%d log_files=%d\n", sum.Files, sum.Bytes, sum.LogFiles)
	return err
}
