//go:build unix

package pipes

import (
	"errors"
	"os"
	"syscall"
)

// redirect makes a descriptor lead into a pipe. It returns where it led to before, and the pipe's other end.
func redirect(fd int) (original, pipe *os.File, err error) {
	syscall.ForkLock.RLock() // no child is to inherit the other descriptors
	defer syscall.ForkLock.RUnlock()
	before, err := syscall.Dup(fd)
	if err != nil {
		return nil, nil, os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(before)
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		return nil, nil, errors.Join(os.NewSyscallError("pipe", err), syscall.Close(before))
	}
	syscall.CloseOnExec(ends[0])
	enlarge(ends[1])
	err = errors.Join(syscall.SetNonblock(ends[0], true), dup2(ends[1], fd), syscall.Close(ends[1]))
	if err != nil {
		return nil, nil, errors.Join(err, syscall.Close(ends[0]), syscall.Close(before))
	}
	return os.NewFile(uintptr(before), "original"), os.NewFile(uintptr(ends[0]), "captured"), nil
}

// restore makes a descriptor lead to where it led before.
func restore(original *os.File, fd int) error {
	conn, err := original.SyscallConn()
	if err != nil {
		return err
	}
	var dupErr error
	err = conn.Control(func(before uintptr) { dupErr = dup2(int(before), fd) })
	return errors.Join(err, dupErr)
}
