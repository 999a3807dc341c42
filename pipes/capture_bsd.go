//go:build unix && !linux

package pipes

import (
	"os"
	"syscall"
)

// dup2 makes fd a copy of from.
func dup2(from, fd int) error {
	return os.NewSyscallError("dup2", syscall.Dup2(from, fd))
}

// enlarge does nothing: the size of a pipe is the system's to choose.
func enlarge(int) {}
