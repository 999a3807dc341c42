package cli

import "github.com/spf13/cobra"

// formatFlag adds the flag of a command that prints for people, as a table or as text, or JSON for programs.
func formatFlag(cmd *cobra.Command, format *string, forPeople string) {
	cmd.Flags().StringVar(format, "format", "", forPeople+" or json (default: "+forPeople+" on a terminal, else json)")
}

// chosenFormat is the format that was asked for, or the one that suits stdout.
func (a *app) chosenFormat(format, forPeople string) (string, error) {
	switch {
	case format == "" && terminal(a.stdout):
		return forPeople, nil
	case format == "":
		return "json", nil
	case format != forPeople && format != "json":
		return "", unknownFormat(format, []string{forPeople, "json"})
	}
	return format, nil
}

// checkLimit refuses a negative number of lines.
func checkLimit[T int | int64](limit T) error {
	if limit < 0 {
		return setupf("--limit %d: expected 0 or more; 0 means all", limit)
	}
	return nil
}
