package systemtable

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// ErrUnknown reports a snapshot or project that was never recorded.
var ErrUnknown = errors.New("no such snapshot")

// A Snapshot is a recorded state of a project. The same state that is recorded again, after another one, is the same
// snapshot.
type Snapshot struct {
	// Project is the project whose state it is.
	Project string
	// Version is the project version, which tells the snapshots of a project apart.
	Version string
	// First and Last are when the state was recorded, the first and the last time, in UTC.
	First, Last time.Time
	// Features is how many features it has.
	Features int
	// Tags are those of the last recording, without Metaxy's own; nil when there are none.
	Tags map[string]string
}

// Projects are the projects that have recorded anything, in order.
func (t *Table) Projects() []string {
	names := map[string]bool{}
	for _, r := range t.Rows {
		names[r.Project] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// Snapshots are the snapshots of a project ("" means all projects), the one that was recorded last first.
func (t *Table) Snapshots(project string) []Snapshot {
	type id struct{ project, version string }
	found := map[id]*Snapshot{}
	features := map[id]map[feature.Key]bool{}
	last := map[id]int{}
	for i := range t.Rows {
		r := &t.Rows[i]
		if project != "" && r.Project != project {
			continue
		}
		key := id{r.Project, r.ProjectVersion}
		s, ok := found[key]
		if !ok {
			s = &Snapshot{Project: r.Project, Version: r.ProjectVersion, First: r.RecordedAt}
			found[key], features[key] = s, map[feature.Key]bool{}
		}
		features[key][r.Feature] = true
		last[key] = i
		s.Last, s.Features, s.Tags = r.RecordedAt, len(features[key]), r.UserTags()
	}
	keys := slices.SortedFunc(maps.Keys(found), func(a, b id) int { return cmp.Compare(last[b], last[a]) })
	out := make([]Snapshot, len(keys))
	for i, key := range keys {
		out[i] = *found[key]
	}
	return out
}

// Find returns the snapshot of a project whose version begins with the given text; "latest" is the one that was recorded
// last. A text that no version, or more than one, begins with gives an error wrapping [ErrUnknown].
func (t *Table) Find(project, version string) (Snapshot, error) {
	all := t.Snapshots(project)
	if version == "latest" && len(all) > 0 {
		return all[0], nil
	}
	var found []Snapshot
	for _, s := range all {
		if s.Version == version {
			return s, nil
		}
		if version != "" && strings.HasPrefix(s.Version, version) {
			found = append(found, s)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(all) == 0:
		return Snapshot{}, fmt.Errorf("%w: %sno graph was ever recorded%s", ErrUnknown, of(project), t.recorded(project))
	case len(found) > 1:
		return Snapshot{}, fmt.Errorf("%w: %s%d snapshots begin with %.100q; write more of the version", ErrUnknown,
			of(project), len(found), version)
	}
	return Snapshot{}, fmt.Errorf("%w: %snone of the %d snapshots is %.100q; history lists them", ErrUnknown, of(project),
		len(all), version)
}

func of(project string) string {
	if project == "" {
		return ""
	}
	return fmt.Sprintf("project %.100q: ", project)
}

// recorded says which projects have recorded something, for the message about one that has not.
func (t *Table) recorded(project string) string {
	if names := t.Projects(); project != "" && len(names) > 0 {
		return fmt.Sprintf(" (recorded are the projects %q)", names)
	}
	return "; push records one"
}

// rows are the rows of a snapshot: for each feature the one that was recorded last, in the order of first recording.
func (t *Table) rows(s Snapshot) []*Row {
	return t.newest(func(r *Row) bool { return r.Project == s.Project && r.ProjectVersion == s.Version })
}

// newest picks, of the rows that are wanted, the last one of each feature.
func (t *Table) newest(wanted func(*Row) bool) []*Row {
	place := map[feature.Key]int{}
	var out []*Row
	for i := range t.Rows {
		r := &t.Rows[i]
		if !wanted(r) {
			continue
		}
		if at, ok := place[r.Feature]; ok {
			out[at] = r
			continue
		}
		place[r.Feature] = len(out)
		out = append(out, r)
	}
	return out
}
