package delta

import (
	"runtime/debug"
	"strings"
)

// module is the module that this package belongs to.
const module = "github.com/metaxy-pipes/metaxy-pipes"

// engine names the program that writes a commit: metaxy-pipes/<version>.
func engine() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == module && strings.HasPrefix(m.Version, "v") {
				version = strings.TrimPrefix(m.Version, "v")
			}
		}
	}
	return "metaxy-pipes/" + version
}
