package pipes

import (
	"os"
	"syscall"
)

// dup2 makes fd a copy of from.
func dup2(from, fd int) error {
	return os.NewSyscallError("dup3", syscall.Dup3(from, fd, 0))
}

// enlarge lets a pipe hold more, so that a burst of output, or the trace of a crash, does not wait for its reader. Where
// that is not allowed the pipe stays as it is.
func enlarge(pipe int) {
	const setPipeSize, size = 1031, 1 << 20 // F_SETPIPE_SZ
	_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(pipe), setPipeSize, size)
}
