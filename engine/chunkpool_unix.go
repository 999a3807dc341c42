//go:build unix

package engine

import "syscall"

// mapMemory returns zeroed memory, of which the system gives only what is touched.
func mapMemory(size int) []byte {
	b, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	adviseHugePages(b)
	return b
}

// unmapMemory gives back what mapMemory has returned.
func unmapMemory(b []byte) { _ = syscall.Munmap(b) } // memory that was not mapped is an error, and the collector's
