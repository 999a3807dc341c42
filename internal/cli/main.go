package cli

import (
	"context"
	"io"
)

// Main runs the command that args name (without the program's own name) and returns the exit status. An error is
// printed once on stderr. Cancelling ctx stops the command with status 130.
func Main(ctx context.Context, args []string, p Program, stdin io.Reader, stdout, stderr io.Writer) int {
	return ExitOK
}
