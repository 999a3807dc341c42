package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/rowjson"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

func (a *app) verifyCommand() *cobra.Command {
	limit, format := int64(100), ""
	cmd := &cobra.Command{
		Use:   "verify [FEATURE…]",
		Short: "Recompute the hashes of stored rows and report those that differ",
		Long: "Recomputes the versions of the stored rows of each feature: the provenance of every row from that of its fields,\n" +
			"the data version likewise unless it was overridden, and the provenance of the fields of current samples from the\n" +
			"rows that the parents have or had. Reports what differs; then the exit status is 1. The counts are the last line\n" +
			"on stderr; unknown are samples that may come from rows that are gone.",
		Example: a.example("verify", "verify video/crop --format json"),
		RunE: a.run(func(ctx context.Context, log *slog.Logger, args []string) error {
			return a.verify(ctx, log, args, limit, format)
		}),
	}
	cmd.Flags().Int64Var(&limit, "limit", limit, "report at most `N` rows of a feature; 0 means all")
	formatFlag(cmd, &format, "table")
	return cmd
}

// A verified is what verify says about one feature.
type verified struct {
	Feature  feature.Key   `json:"feature"`
	Rows     int64         `json:"rows"`
	Differ   int64         `json:"differ"`
	Derived  int64         `json:"derived"`
	Unknown  int64         `json:"unknown"`
	Findings []findingText `json:"findings"`
}

// A findingText is a stored version that differs. What is not there is null.
type findingText struct {
	ID       json.RawMessage `json:"id"`
	Column   string          `json:"column"`
	Stored   *string         `json:"stored"`
	Expected *string         `json:"expected"`

	row store.RowRef
}

func (a *app) verify(ctx context.Context, log *slog.Logger, args []string, limit int64, format string) (err error) {
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
	features, err := e.features(args)
	if err != nil {
		return err
	}
	results := []verified{}
	var total engine.Verification
	for _, f := range features {
		v, err := e.verifyOne(ctx, f, limit)
		if errors.Is(err, store.ErrNoTable) && len(args) == 0 {
			continue
		}
		if err != nil {
			return ownTable(err, f)
		}
		results = append(results, v)
		total.Rows, total.Differ, total.Unknown = total.Rows+v.Rows, total.Differ+v.Differ, total.Unknown+v.Unknown
	}
	if format == "json" {
		err = writeJSON(a.stdout, map[string]any{"features": results})
	} else {
		_, err = fmt.Fprintln(a.stdout, verifiedTables(results))
	}
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintf(e.Stderr, "rows=%d differ=%d unknown=%d\n", total.Rows, total.Differ, total.Unknown); err != nil {
		return err
	}
	if total.Differ > 0 {
		return &ExitError{Code: ExitFailed}
	}
	return nil
}

// verifyOne verifies one feature's own table.
func (e *Env) verifyOne(ctx context.Context, f *feature.Feature, limit int64) (verified, error) {
	out := verified{Feature: f.Key(), Findings: []findingText{}}
	rows := map[store.RowRef]bool{}
	snap, counts, err := engine.Verify(ctx, e.Store, f, e.Hashing, func(x engine.Finding) error {
		if limit > 0 && int64(len(rows)) >= limit && !rows[x.Row] {
			return nil
		}
		rows[x.Row] = true
		out.Findings = append(out.Findings, findingText{
			Column: x.Column, Stored: textOrNull(x.Stored), Expected: textOrNull(x.Expected), row: x.Row})
		return nil
	})
	if err != nil {
		return out, err
	}
	out.Rows, out.Differ, out.Derived, out.Unknown = counts.Rows, counts.Differ, counts.Derived, counts.Unknown
	return out, out.identify(ctx, snap, f)
}

// identify fetches the ids of the findings' rows.
func (v *verified) identify(ctx context.Context, snap store.Snapshot, f *feature.Feature) error {
	refs := make([]store.RowRef, len(v.Findings))
	for i, x := range v.Findings {
		refs[i] = x.row
	}
	rec, err := snap.Fetch(ctx, refs, f.Spec().IDColumns)
	if err != nil {
		return err
	}
	encoder := rowjson.NewEncoder(rec.Schema())
	for i := range v.Findings {
		v.Findings[i].ID = encoder.AppendRow(nil, rec, i)
	}
	return nil
}

// verifiedTables draws the counts, and below them what was found.
func verifiedTables(results []verified) string {
	counts := newTable()
	counts.AppendHeader(table.Row{"feature", "rows", "differ", "derived", "unknown"})
	found := newTable()
	found.AppendHeader(table.Row{"feature", "id", "column", "stored", "expected"})
	n := 0
	for _, v := range results {
		counts.AppendRow(table.Row{v.Feature, v.Rows, v.Differ, v.Derived, v.Unknown})
		for _, x := range v.Findings {
			n++
			found.AppendRow(table.Row{v.Feature, shorten(printable(string(x.ID)), widestCell), printable(x.Column),
				orNothing(x.Stored), orNothing(x.Expected)})
		}
	}
	if n == 0 {
		return counts.Render()
	}
	return strings.Join([]string{counts.Render(), found.Render()}, "\n")
}

func orNothing(s *string) string {
	if s == nil {
		return "-"
	}
	return shorten(printable(*s), widestCell)
}
