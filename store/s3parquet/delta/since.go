package delta

import (
	"context"
	"slices"
)

// maxFollowed is how many commits are read to learn what became of a table. After more of them, looking at its rows costs
// little more.
const maxFollowed = 200

// Since tells which files of a version may have rows that the table did not have at an older one, as ordinals in ascending
// order. It goes back commit by commit, puts the files that were merged in the place of those that they were merged into,
// and asks was, with the names of the files that the older version must then have had, whether that is so. It is false if
// it is not; if rows were taken out, moved by a writer that does not tell to which place, or the table was described anew;
// or if the log does not tell any more.
func (t *Table) Since(ctx context.Context, s *Snapshot, older int64, was func(names []string) bool) ([]int, bool) {
	if older < 0 || older > s.Version || s.Version-older > maxFollowed {
		return nil, false
	}
	var commits []logFile
	for v := s.Version; v > older; v-- {
		f := logFile{version: v, commit: true}
		f.Name = t.logPath(commitName(v))
		commits = append(commits, f)
	}
	b := newBackwards(s)
	for chunk := range slices.Chunk(commits, readers) {
		actions, err := t.readCommits(ctx, chunk)
		if err != nil {
			return nil, false
		}
		for _, a := range actions {
			if !b.undo(a) {
				return nil, false
			}
		}
	}
	return b.added(), was(b.names)
}

// backwards is the files of a table on the way back to an older version.
type backwards struct {
	names  []string         // in their order
	became map[string][]int // which files of the newest version their rows are in now
	fresh  []bool           // which of these may have rows of later than where the way has come to
}

func newBackwards(s *Snapshot) *backwards {
	b := &backwards{became: make(map[string][]int, len(s.Files)), fresh: make([]bool, len(s.Files))}
	for i, f := range s.Files {
		b.names = append(b.names, f.Name)
		b.became[f.Name] = []int{i}
	}
	return b
}

// undo takes a commit back. It is false if that was no commit that only appends, marks, or merges files in their place.
func (b *backwards) undo(actions []action) bool {
	var added, removed, places []string
	changes := false
	for _, a := range actions {
		switch {
		case a.Protocol != nil || a.MetaData != nil:
			return false
		case a.Add != nil:
			name, err := decodePath(a.Add.Path)
			if err != nil {
				return false
			}
			added = append(added, name)
			if place := a.Add.Tags[replacesTag]; place != nil {
				places = append(places, *place)
			}
			changes = changes || a.Add.DataChange
		case a.Remove != nil:
			name, err := decodePath(a.Remove.Path)
			if err != nil || a.Remove.DataChange {
				return false
			}
			removed = append(removed, name)
		}
	}
	if len(removed) == 0 {
		return (changes || len(added) == 0) && b.forget(added)
	}
	merged := !changes && len(added) > 0 && len(places) == len(added) &&
		!slices.ContainsFunc(places, func(name string) bool { return name != removed[0] })
	return merged && b.split(added, removed)
}

// forget takes back that files were added, each once.
func (b *backwards) forget(added []string) bool {
	if len(added) == 0 {
		return true
	}
	for _, name := range added {
		if b.became[name] == nil {
			return false
		}
		for _, i := range b.became[name] {
			b.fresh[i] = true
		}
		delete(b.became, name)
	}
	b.names = slices.DeleteFunc(b.names, func(name string) bool { return b.became[name] == nil })
	return true
}

// split takes back that files were merged into others, which stand side by side in the order in which the commit adds them.
func (b *backwards) split(added, removed []string) bool {
	at := slices.Index(b.names, added[0])
	if at < 0 || at+len(added) > len(b.names) || !slices.Equal(b.names[at:at+len(added)], added) {
		return false
	}
	var became []int
	for _, name := range added {
		became = append(became, b.became[name]...)
		delete(b.became, name)
	}
	slices.Sort(became)
	became = slices.Compact(became)
	for _, name := range removed {
		if b.became[name] != nil {
			return false
		}
		b.became[name] = became
	}
	b.names = slices.Replace(b.names, at, at+len(added), removed...)
	return true
}

// added are the files that may have later rows.
func (b *backwards) added() []int {
	var out []int
	for i, fresh := range b.fresh {
		if fresh {
			out = append(out, i)
		}
	}
	return out
}
