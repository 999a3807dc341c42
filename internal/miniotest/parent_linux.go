package miniotest

import "syscall"

// dieWithParent makes the server end with a test process that is killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
