package delta

import (
	"fmt"
	"maps"
	"slices"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// replacesTag is the tag of an add action that names the file, removed by the same commit, whose place it takes.
const replacesTag = "metaxy.replaces"

// byName returns the files by their names.
func (s *Snapshot) byName() map[string]*File {
	files := make(map[string]*File, len(s.Files))
	for _, f := range s.Files {
		files[f.Name] = f
	}
	return files
}

// Erasable refuses a table from which no rows may be taken, with an error wrapping store.ErrUnsupported.
func (s *Snapshot) Erasable() error {
	if s.MetaData.Configuration["delta.appendOnly"] == "true" {
		return fmt.Errorf("%w: its property delta.appendOnly forbids taking rows out", store.ErrUnsupported)
	}
	return s.Writable()
}

// checkRemoves reports whether the files to be taken out are all still there. Files that others have added meanwhile are
// no obstacle.
func (c *Change) checkRemoves(base *Snapshot) error {
	for _, f := range c.Files {
		if f.Replaces != "" && !slices.Contains(c.Removes, f.Replaces) {
			return fmt.Errorf("file %s is to take the place of %s, which is not removed", f.Path, f.Replaces)
		}
	}
	if len(c.Removes) == 0 {
		return nil
	}
	if base == nil {
		return fmt.Errorf("%w: there is no table any more", store.ErrConflict)
	}
	if !c.Moved {
		if err := base.Erasable(); err != nil {
			return err
		}
	}
	there := base.byName()
	for _, name := range c.Removes {
		if there[name] == nil {
			return fmt.Errorf("%w: another writer has taken out data file %s; try again", store.ErrConflict, name)
		}
	}
	return nil
}

// takePlace gives a file the place of one that is removed, also for readers of checkpoints that do not know of places.
func (a *Add) takePlace(f *File) {
	a.Tags = maps.Clone(a.Tags)
	if a.Tags == nil {
		a.Tags = map[string]*string{}
	}
	a.Tags[replacesTag] = &a.Replaces
	a.ModificationTime = f.ModificationTime
}

// removes returns the actions that take files out.
func (c *Change) removes(files map[string]*File, now int64) []action {
	var actions []action
	extended := true
	for _, name := range c.Removes {
		f := files[name]
		r := &Remove{Path: f.Path, DeletionTimestamp: &now, DataChange: !c.Moved, ExtendedFileMetadata: &extended,
			PartitionValues: f.PartitionValues, Size: &f.Size}
		if !c.Moved { // of thousands of small files, every reader of the log would have to read what nobody asks for
			r.Stats, r.Tags = f.Stats, f.Tags
		}
		actions = append(actions, action{Remove: r})
	}
	return actions
}

// A standIn is a file that takes the place of another.
type standIn struct {
	name  string
	place int
	file  *File // the one that was there
}

// replaced finds the places that the files of a commit take. They are those before the commit, whose actions have no order.
func (r *replay) replaced(actions []action) []standIn {
	var found []standIn
	for _, a := range actions {
		if a.Add == nil || a.Add.Tags[replacesTag] == nil {
			continue
		}
		name, err := decodePath(a.Add.Path)
		i, ok := r.index[*a.Add.Tags[replacesTag]]
		if err != nil || !ok {
			continue // decodePath fails again when the action is taken over
		}
		f := r.files[i]
		place, moved := r.places[f]
		if !moved {
			place = i
		}
		found = append(found, standIn{name, place, f})
	}
	return found
}

// place puts the files of a commit where they belong. Their rows are those of the removed files, the newest of which came
// with the given version.
func (r *replay) place(files []standIn, newest int64) {
	for _, s := range files {
		i, added := r.index[s.name]
		old, stays := r.index[s.file.Name]
		if !added || stays && r.files[old] == s.file { // nothing takes the place of a file that is not removed
			continue
		}
		if r.places == nil {
			r.places = map[*File]int{}
		}
		r.places[r.files[i]] = s.place
		r.files[i].Version = newest
	}
}

// newestRemoved is the version that added the newest rows of the files that a commit removes.
func (r *replay) newestRemoved(actions []action) int64 {
	newest := int64(-1)
	for _, a := range actions {
		if a.Remove == nil {
			continue
		}
		if name, err := decodePath(a.Remove.Path); err == nil {
			if i, ok := r.index[name]; ok {
				newest = max(newest, r.files[i].Version)
			}
		}
	}
	return newest
}

// ordered returns the files in their order.
func (r *replay) ordered() []*File {
	if len(r.places) == 0 {
		return slices.DeleteFunc(r.files, func(f *File) bool { return f == nil })
	}
	type placed struct {
		file  *File
		place int
	}
	files := make([]placed, 0, len(r.files))
	for i, f := range r.files {
		if f == nil {
			continue
		}
		place, ok := r.places[f]
		if !ok {
			place = i
		}
		files = append(files, placed{f, place})
	}
	slices.SortStableFunc(files, func(a, b placed) int { return a.place - b.place })
	out := make([]*File, len(files))
	for i, f := range files {
		out[i] = f.file
	}
	return out
}
