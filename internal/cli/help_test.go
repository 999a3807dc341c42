package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const reference = "../../docs/cli.md"

// TestReference compares the reference of docs/cli.md, which stands below its marker, with the commands.
func TestReference(t *testing.T) {
	t.Parallel()
	const marker = "<!-- reference -->\n"
	data, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, ok := strings.Cut(string(data), marker)
	if !ok {
		t.Fatalf("%s has no marker %s", reference, marker)
	}
	root := (&app{program: Program{Name: "metaxy-pipes"}}).root()
	var want strings.Builder
	want.WriteString("\n" + flagTable("Global flags", root.PersistentFlags()))
	for _, cmd := range root.Commands() {
		if cmd.Example == "" || cmd.Long == "" {
			t.Errorf("%s has no example or no description", cmd.Name())
		}
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		fmt.Fprintf(&want, "\n## `%s`\n\n%s\n\n```\n%s\n```\n", cmd.Use, strings.ReplaceAll(cmd.Long, "\n", " "),
			strings.ReplaceAll(cmd.Example, "  metaxy-pipes", "metaxy-pipes"))
		if cmd.HasAvailableLocalFlags() {
			want.WriteString("\n" + flagTable("Flags", cmd.LocalNonPersistentFlags()))
		}
	}
	if *update {
		if err := os.WriteFile(reference, []byte(head+marker+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if tail != want.String() {
		t.Errorf("%s is out of date; go test ./internal/cli -update writes it:\n%s", reference, want.String())
	}
}

func flagTable(title string, flags *pflag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | |\n|---|---|\n", strings.ToLower(title))
	flags.VisitAll(func(f *pflag.Flag) {
		value, usage := pflag.UnquoteUsage(f)
		if f.Name == "help" {
			return
		}
		if value != "" {
			value = " " + strings.ReplaceAll(value, "|", `\|`)
		}
		fmt.Fprintf(&b, "| `--%s%s` | %s |\n", f.Name, value, strings.ReplaceAll(usage, "|", `\|`))
	})
	return b.String()
}

// TestHelp asks each command for help: it goes to stdout, with an example.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := (&app{program: Program{Name: "metaxy-pipes"}}).root()
	for _, cmd := range append(root.Commands(), &cobra.Command{}) {
		if cmd.Name() == "help" || cmd.Name() == "completion" {
			continue
		}
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(cmd.Name()), "--help")
		a := &app{program: Program{Name: "metaxy-pipes"}, stdout: &stdout, stderr: &stderr}
		if code := a.main(t.Context(), args); code != ExitOK || stderr.Len() > 0 {
			t.Errorf("%q: exit %d, %s", args, code, &stderr)
		}
		if !strings.Contains(stdout.String(), "Examples:\n  metaxy-pipes ") {
			t.Errorf("%q has no example:\n%s", args, &stdout)
		}
	}
}
