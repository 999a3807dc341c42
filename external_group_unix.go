//go:build unix

package metaxy

import (
	"os/exec"
	"syscall"
)

// ownGroup starts a command in a process group of its own, so that it can be killed with all that it starts, and so that
// an interrupt on the terminal reaches this process only.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// signalGroup signals a command's process group; one that is gone is no matter.
func signalGroup(cmd *exec.Cmd, sig syscall.Signal) { _ = syscall.Kill(-cmd.Process.Pid, sig) }
