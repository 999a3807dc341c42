// Command vulndb lays out Go's vulnerability database, of which module golang.org/x/vulndb has the entries, as govulncheck
// reads it from a folder: so it needs the module proxy alone.
//
//	vulndb DIR-OF-OSV-FILES OUT
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// entry is what the index says of an entry.
type entry struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
}

// osv is the part of an entry from which the index is made.
type osv struct {
	entry
	Withdrawn *time.Time `json:"withdrawn"`
	Affected  []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
	} `json:"affected"`
}

// module is a line of the index of modules.
type module struct {
	Path  string  `json:"path"`
	Vulns []entry `json:"vulns"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vulndb DIR-OF-OSV-FILES OUT")
		os.Exit(2)
	}
	if err := layOut(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "vulndb:", err)
		os.Exit(1)
	}
}

// layOut writes the files that govulncheck asks for: each entry, the modules, and the time of the last change.
func layOut(from, out string) error {
	files, err := filepath.Glob(filepath.Join(from, "GO-*.json"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("%s holds no entries", from)
	}
	for _, dir := range []string{"ID", "index"} {
		if err := os.MkdirAll(filepath.Join(out, dir), 0o755); err != nil {
			return err
		}
	}
	modules := map[string]*module{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var o osv
		if err := json.Unmarshal(data, &o); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(out, "ID", o.ID+".json"), data, 0o644); err != nil {
			return err
		}
		if o.Withdrawn == nil {
			o.addTo(modules)
		}
	}
	list := []*module{}
	for _, m := range modules {
		list = append(list, m)
	}
	if err := write(filepath.Join(out, "index", "modules.json"), list); err != nil {
		return err
	}
	fmt.Printf("%d entries about %d modules, up to %s\n", len(files), len(list), filepath.Base(files[len(files)-1]))
	return write(filepath.Join(out, "index", "db.json"), map[string]time.Time{"modified": time.Now().UTC()})
}

// addTo names an entry once with each module that it affects.
func (o *osv) addTo(modules map[string]*module) {
	seen := map[string]bool{}
	for _, a := range o.Affected {
		path := a.Package.Name
		if seen[path] {
			continue
		}
		seen[path] = true
		if modules[path] == nil {
			modules[path] = &module{Path: path}
		}
		modules[path].Vulns = append(modules[path].Vulns, o.entry)
	}
}

func write(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
