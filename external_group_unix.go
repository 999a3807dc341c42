//go:build unix

package metaxy

import (
	"os/exec"
	"syscall"
)

// signalGroup signals a command's process group; one that is gone is no matter.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }
