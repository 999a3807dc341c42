package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is the release; the linker sets it, and without that the build's own information is used.
var Version string

// A build is what version prints.
type build struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func (a *app) versionCommand() *cobra.Command {
	format := ""
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit and Go version",
		Long:    "Prints what was built: the release, the commit, and the version of Go.",
		Example: a.example("version --format json"),
		Args:    noArguments,
		RunE: a.run(func(context.Context, *slog.Logger, []string) error {
			b := a.build()
			switch format {
			case "", "text":
				_, err := fmt.Fprintf(a.stdout, "%s %s (commit %s, %s)\n", b.Name, b.Version, b.Commit, b.Go)
				return err
			case "json":
				return json.NewEncoder(a.stdout).Encode(b)
			}
			return unknownFormat(format, []string{"text", "json"})
		}),
	}
	cmd.Flags().StringVar(&format, "format", "", "text or json (default: text)")
	return cmd
}

func (a *app) build() build {
	b := build{Name: a.program.Name, Version: Version, Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	b.Commit += dirty
	return b
}
