package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
)

// A finding is the outcome of one check.
type finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	// Detail says what was found.
	Detail string `json:"detail"`
	// Advice says what to do; "" when there is nothing.
	Advice string `json:"advice,omitempty"`
}

// errUnhealthy ends doctor after its findings are printed.
var errUnhealthy = errors.New("doctor: something is wrong; see above")

func (a *app) doctorCommand() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, credentials, commits, clock and tables",
		Long: "Checks the configuration, whether the store can be reached and written, whether an object can really be\n" +
			"created only once (on which safe commits rest), how far the clocks differ, and each table. It writes and\n" +
			"removes one small object below _metaxy_doctor/, and leaves nothing behind. Exit status 0 when all is well, else 1.",
		Example: a.example("doctor --store s3://bucket/prefix"),
		Args:    noArguments,
		RunE: a.run(func(ctx context.Context, log *slog.Logger, _ []string) error {
			if format != "" && format != "text" && format != "json" {
				return unknownFormat(format, []string{"text", "json"})
			}
			return a.doctor(ctx, log, format)
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "text or json (default: text)")
	return cmd
}

func (a *app) doctor(ctx context.Context, log *slog.Logger, format string) error {
	findings := a.examine(ctx, log)
	if err := ctx.Err(); err != nil {
		return err
	}
	healthy := true
	for _, f := range findings {
		healthy = healthy && f.OK
	}
	if format == "json" {
		if err := writeJSON(a.stdout, map[string]any{"ok": healthy, "checks": findings}); err != nil {
			return err
		}
	} else {
		var b strings.Builder
		for _, f := range findings {
			mark := "ok  "
			if !f.OK {
				mark = "FAIL"
			}
			detail := strings.ReplaceAll(printable(f.Detail), "\n", "\n                     ")
			fmt.Fprintf(&b, "%s  %-13s  %s\n", mark, f.Check, detail)
			if f.Advice != "" {
				fmt.Fprintf(&b, "                     -> %s\n", f.Advice)
			}
		}
		if _, err := a.stdout.Write([]byte(b.String())); err != nil {
			return err
		}
	}
	if !healthy {
		return errUnhealthy
	}
	return nil
}

// examine makes the checks; one that rests on a failed one is left out.
func (a *app) examine(ctx context.Context, log *slog.Logger) []finding {
	c, err := a.loadConfig(log)
	if err != nil {
		return []finding{{"configuration", false, err.Error(), "mend the file, or name another with --config"}}
	}
	detail := "no file; flags, environment and defaults"
	if c.Path != "" {
		detail = c.Path
	}
	findings := []finding{{"configuration", true, detail, ""}}

	e, src, err := a.openGraph(log)
	if err == nil && e.Graph == nil {
		if err = a.askBriefly(ctx, e, src); err != nil && len(src.local) > 0 {
			err = e.offline(src)
		}
	}
	if err != nil {
		const advice = "mend the feature files, or name them with --features"
		findings = append(findings, finding{"features", false, e.explainLocate(src, err).Error(), advice})
		e = &Env{Config: c, Log: log}
	} else {
		n := 0
		for range e.Graph.All() {
			n++
		}
		findings = append(findings, finding{"features", true, fmt.Sprintf("%d features", n), ""})
	}

	if a.program.Store != nil && !a.storeNamed() {
		return append(findings, a.tableFindings(ctx, e)...)
	}
	sc, err := c.Locate(a.global.store)
	if err != nil {
		return append(findings, finding{"store", false, err.Error(), "name the store with --store NAME|URI or METAXY_STORE"})
	}
	probed, ok := probeStore(ctx, sc)
	findings = append(findings, probed...)
	if !ok {
		return findings
	}
	return append(findings, a.tableFindings(ctx, e)...)
}
