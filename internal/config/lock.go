package config

import (
	"path/filepath"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// lockName is the name of the lock file beside the configuration.
const lockName = "metaxy.lock"

// LockFile is where metaxy.lock would be, and whether the configuration names it: metaxy_lock_path from the folder of
// the configuration, else metaxy.lock there.
func (c *Config) LockFile() (path string, named bool) {
	path = c.LockPath
	if named = path != ""; !named {
		path = lockName
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir(), path)
	}
	return path, named
}

// readExtraFeatures reads the tables [[extra_features]].
func readExtraFeatures(s *section) []FeatureSelection {
	const name = "extra_features"
	var out []FeatureSelection
	for _, table := range s.tables(name) {
		sel := FeatureSelection{All: table.boolean("all"), Projects: table.list("projects")}
		for _, text := range table.keyTexts("keys") {
			key, err := feature.ParseKey(text)
			if err != nil {
				table.fail("keys", "%s", err)
			}
			sel.Keys = append(sel.Keys, key)
		}
		if !sel.All && len(sel.Projects) == 0 && len(sel.Keys) == 0 {
			s.fail(name, "each entry needs projects, keys or all = true")
		}
		table.finish()
		out = append(out, sel)
	}
	return out
}
