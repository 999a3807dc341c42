//go:build !unix

package metaxy

import (
	"os/exec"
	"syscall"
)

// startInGroup starts a command by itself where there are no process groups.
func startInGroup(cmd *exec.Cmd) error { return cmd.Start() }

// signalGroup kills the command alone, whatever the signal.
func signalGroup(cmd *exec.Cmd, _ syscall.Signal) { _ = cmd.Process.Kill() }
