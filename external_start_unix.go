//go:build unix && !linux

package metaxy

import (
	"os/exec"
	"syscall"
)

// startInGroup starts a command in a process group of its own, so that it can be killed with all that it starts, and so
// that an interrupt on the terminal reaches this process only.
func startInGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Start()
}
