package machine

import (
	"testing"
	"testing/fstest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	meminfo := &fstest.MapFile{Data: []byte("MemTotal:       16384 kB\nMemFree:        1 kB\n")}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"nothing is known":     {fstest.MapFS{}, unknown},
		"the machine":          {fstest.MapFS{"proc/meminfo": meminfo}, 16 << 20},
		"no limit":             {fstest.MapFS{"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": file("max\n")}, 16 << 20},
		"a container":          {fstest.MapFS{"proc/meminfo": meminfo, "sys/fs/cgroup/memory.max": file("4194304\n")}, 4 << 20},
		"a container, old way": {fstest.MapFS{"proc/meminfo": meminfo, "sys/fs/cgroup/memory/memory.limit_in_bytes": file("5242880\n")}, 5 << 20},
		"a group around ours": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("0::/a/b\n"),
			"sys/fs/cgroup/a/memory.max": file("3145728\n"), "sys/fs/cgroup/a/b/memory.max": file("max\n")}, 3 << 20},
		"our group, old way": {fstest.MapFS{"proc/meminfo": meminfo, "proc/self/cgroup": file("4:memory:/x\n1:cpu:/\n"),
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("2097152\n")}, 2 << 20},
		"a number beyond all memory": {fstest.MapFS{"proc/meminfo": meminfo,
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n")}, 16 << 20},
	} {
		if got := memory(c.files.Open); got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
	if n := DefaultLimit(); n < MinLimit {
		t.Errorf("the default is %d", n)
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"64MiB": 64 << 20, "1.5GiB": 3 << 29, "2 GB": 2e9, "100": 100, "7B": 7, "0": 0} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "MiB", "x", "-1MiB", "1e99", "NaN", "1 XiB", "64mib"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}
