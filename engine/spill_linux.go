package engine

import "syscall"

// freeDisk is how many bytes may still be written to a folder's disk.
func freeDisk(folder string) (int64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(folder, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * s.Bsize, true
}
