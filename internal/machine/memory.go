// Package machine says how much memory this process may take.
package machine

import (
	"bufio"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// unknown is what is assumed of a machine that does not say how much memory it has.
const unknown = 4 << 30

// MinLimit is the least limit that can be kept.
const MinLimit = 128 << 20

// DefaultLimit is a quarter of the memory that there is: the machine's, or the container's if that is less. It is
// never below MinLimit.
func DefaultLimit() int64 { return max(MinLimit, memory(os.DirFS("/").Open)/4) }

// memory reads the machine's memory and the limits of the control groups that this process is in.
func memory(open openFunc) int64 {
	n := int64(math.MaxInt64)
	eachLine(open, "proc/meminfo", func(line string) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
				n = min(n, kib<<10)
			}
		}
	})
	for _, file := range limitFiles(open) {
		eachLine(open, file, func(line string) {
			if limit, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64); err == nil && limit > 0 {
				n = min(n, limit) // "max", or a number beyond all memory, is no limit
			}
		})
	}
	if n == math.MaxInt64 {
		return unknown
	}
	return n
}

// limitFiles are the files that may hold a limit: of the process's control group and those around it, in both versions
// of control groups, as seen from outside and from inside of a container.
func limitFiles(open openFunc) []string {
	files := []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}
	eachLine(open, "proc/self/cgroup", func(line string) {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			return
		}
		for group := path.Clean("/" + parts[2]); group != "/"; group = path.Dir(group) {
			switch parts[1] {
			case "":
				files = append(files, "sys/fs/cgroup"+group+"/memory.max")
			case "memory":
				files = append(files, "sys/fs/cgroup/memory"+group+"/memory.limit_in_bytes")
			}
		}
	})
	return files
}

// ParseSize reads a number of bytes with a unit, such as 512MiB or 2GB; without a unit it is bytes.
func ParseSize(text string) (int64, error) {
	units := []struct {
		name  string
		bytes float64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1}}
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(n*u.bytes >= 0 && n*u.bytes < 1<<62) {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is no size; expected a number with a unit, such as 512MiB or 2GiB", text)
}

// eachLine calls do with the lines of a file, if it can be read.
func eachLine(open openFunc, name string, do func(string)) {
	f, err := open(name)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		do(lines.Text())
	}
}

type openFunc func(name string) (fs.File, error)
