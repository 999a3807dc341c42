package delta

import (
	"maps"
	"slices"
)

// ChangeTo returns what brings a table back to the files of an older version, nil when it has them. Columns and settings
// stay as they are, since the older rows fit them too.
func (s *Snapshot) ChangeTo(old *Snapshot) *Change {
	have, want := s.byName(), old.byName()
	c := &Change{Operation: "RESTORE"}
	for _, f := range s.Files {
		if want[f.Name] == nil {
			c.Removes = append(c.Removes, f.Name)
		}
	}
	for _, f := range old.Files {
		if have[f.Name] != nil {
			continue
		}
		add := f.Add
		add.Path = f.Name
		if of := add.Tags[replacesTag]; of != nil {
			add.Tags = maps.Clone(add.Tags)
			delete(add.Tags, replacesTag)
			if slices.Contains(c.Removes, *of) {
				add.Replaces = *of
			}
		}
		c.Files, c.Schema = append(c.Files, add), old.Schema
		if n := add.ParseStats().NumRecords; n != nil {
			c.Rows += *n
		}
	}
	if c.Files == nil && c.Removes == nil {
		return nil
	}
	return c
}
