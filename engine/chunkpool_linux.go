package engine

import "syscall"

// adviseHugePages asks for large pages, of which far fewer have to be set up and found again. Without them it is only
// slower.
func adviseHugePages(b []byte) {
	const hugePages = 14 // MADV_HUGEPAGE
	_ = syscall.Madvise(b, hugePages)
}
