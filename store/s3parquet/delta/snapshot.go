package delta

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A Snapshot is one version of a table. It is immutable.
type Snapshot struct {
	Version  int64
	Time     time.Time // when the commit was made
	Protocol Protocol
	MetaData MetaData
	Schema   *arrow.Schema  // partition columns included
	Files    []*File        // in commit order
	Txns     map[string]Txn // by application
	// Removal is the newest version that took rows out of the table, or may have; -1 means that none did.
	Removal int64

	columns *structType
	removed map[string]*Remove                 // by name, those that a checkpoint has to keep
	older   func() (map[string]*Remove, error) // more of them, of files that may have been added again; nil for none
	last    logFile                            // the newest commit in the log, to notice a table that was made anew
}

// A File is a data file of a table.
type File struct {
	Name string // relative to the table's folder, decoded
	// Version is the commit that added the newest of its rows, or a later one when only a checkpoint tells.
	Version int64
	Add
}

// Known returns the names of the data files of this version, and of those of earlier ones that readers may still want.
func (s *Snapshot) Known() (map[string]bool, error) {
	removed, err := s.Tombstones()
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(s.Files)+len(removed))
	for _, f := range s.Files {
		known[f.Name] = true
	}
	for name := range removed {
		known[name] = true
	}
	return known, nil
}

// Required returns the columns that may not hold nulls.
func (s *Snapshot) Required() []string {
	var names []string
	for _, f := range s.columns.Fields {
		if !f.Nullable {
			names = append(names, f.Name)
		}
	}
	return names
}

// Writable refuses a table that an append would damage, with an error wrapping store.ErrUnsupported.
func (s *Snapshot) Writable() error { return checkWrite(&s.Protocol, &s.MetaData, s.columns) }

// lastModified is the greatest modification time of the table's files.
func (s *Snapshot) lastModified() int64 {
	var last int64
	for _, f := range s.Files {
		last = max(last, f.ModificationTime)
	}
	return last
}

// A replay builds a snapshot from the actions of a checkpoint and of commits. Files keep the place in which they were
// added; one that is added again moves to the end, unless it takes the place of another.
type replay struct {
	snapshot Snapshot
	files    []*File // nil where one was removed
	index    map[string]int
	places   map[*File]int // of the files that take the place of others, as if they were there in files
	protocol *Protocol
	metaData *MetaData
}

// replayFrom begins with the state of a snapshot, or with nothing when it is nil.
func replayFrom(s *Snapshot) *replay {
	if s == nil {
		return &replay{
			snapshot: Snapshot{Version: -1, Removal: -1, Txns: map[string]Txn{}, removed: map[string]*Remove{}},
			index:    map[string]int{},
		}
	}
	r := &replay{snapshot: *s, files: slices.Clone(s.Files), index: make(map[string]int, len(s.Files))}
	r.snapshot.Txns, r.snapshot.removed = maps.Clone(s.Txns), maps.Clone(s.removed)
	for i, f := range r.files {
		r.index[f.Name] = i
	}
	return r
}

// apply takes over the actions of a commit.
func (r *replay) apply(f logFile, actions []action) error {
	r.snapshot.Version, r.snapshot.Time, r.snapshot.last = f.version, f.ModTime, f
	places, newest := r.replaced(actions), r.newestRemoved(actions)
	for i := range actions {
		if err := r.action(&actions[i]); err != nil {
			return err
		}
		if a := actions[i].Remove; a != nil && a.DataChange {
			r.snapshot.Removal = f.version
		}
	}
	r.place(places, newest)
	return nil
}

func (r *replay) action(a *action) error {
	switch {
	case a.Protocol != nil:
		r.protocol = a.Protocol
	case a.MetaData != nil:
		r.metaData = a.MetaData
	case a.Txn != nil:
		r.snapshot.Txns[a.Txn.AppID] = *a.Txn
	case a.CommitInfo != nil:
		if ms := a.CommitInfo.made(); ms > 0 {
			r.snapshot.Time = time.UnixMilli(ms)
		}
	case a.Add != nil:
		return r.add(a.Add)
	case a.Remove != nil:
		return r.remove(a.Remove)
	}
	return nil
}

func (r *replay) add(a *Add) error {
	name, err := decodePath(a.Path)
	if err != nil {
		return err
	}
	if present(a.DeletionVector) {
		return fmt.Errorf("%w: data file %q has a deletion vector (feature deletionVectors)", store.ErrUnsupported, name)
	}
	if i, ok := r.index[name]; ok {
		r.files[i] = nil
	}
	r.index[name] = len(r.files)
	r.files = append(r.files, &File{Name: name, Version: r.snapshot.Version, Add: *a})
	delete(r.snapshot.removed, name)
	return nil
}

func (r *replay) remove(a *Remove) error {
	name, err := decodePath(a.Path)
	if err != nil {
		return err
	}
	if i, ok := r.index[name]; ok {
		r.files[i] = nil
		delete(r.index, name)
	}
	r.snapshot.removed[name] = a
	return nil
}

// finish checks what came together and returns it.
func (r *replay) finish() (*Snapshot, error) {
	s := &r.snapshot
	if r.protocol != nil {
		s.Protocol = *r.protocol
	}
	if s.Protocol.MinReaderVersion == 0 {
		return nil, fmt.Errorf("%w: the log has no protocol action", store.ErrCorrupt)
	}
	if r.metaData != nil {
		s.MetaData = *r.metaData
	}
	if s.MetaData.SchemaString == "" {
		return nil, fmt.Errorf("%w: the log has no metaData action", store.ErrCorrupt)
	}
	if err := checkRead(&s.Protocol, &s.MetaData); err != nil {
		return nil, err
	}
	if s.columns == nil || r.metaData != nil {
		var err error
		if s.columns, err = parseSchema(s.MetaData.SchemaString); err != nil {
			return nil, fmt.Errorf("%w: schema: %w", store.ErrCorrupt, err)
		}
		if s.Schema, err = s.columns.arrowSchema(); err != nil {
			return nil, fmt.Errorf("schema: %w", err)
		}
	}
	s.Files = r.ordered()
	return s, nil
}
