package metaxy

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter is a thread that starts commands and never ends: the kernel takes the end of the thread that has started a
// process for the end of its parent.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	}()
	return work
})

// startInGroup starts a command in a process group of its own, so that it can be killed with all that it starts, and so
// that an interrupt on the terminal reaches this process only. When this process is killed, the command is too: one that
// hangs would else hold its memory for ever.
func startInGroup(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	return <-started
}
