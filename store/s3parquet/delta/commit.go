package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/uuid"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
)

// attempts is how often a commit is tried unless Table.Retries says otherwise.
const attempts = 20

// ErrUnknown reports a commit of which nobody can say whether it was made, because the storage did not answer. Its
// data files must stay.
var ErrUnknown = errors.New("delta: outcome of the commit is unknown")

// A Change is data files to add to a table, and to take out of it.
type Change struct {
	Schema     *arrow.Schema     // columns of the files, in stored types; the table gets those that it lacks; nil without files
	Files      []Add             // Path is the name below the table, not encoded yet; times are filled in
	Rows       int64             // in all files
	Expect     *int64            // version that the table must have now (-1: none); nil means any
	Properties map[string]string // configuration of a table that this change creates; nil means none
	Marks      map[string]int64  // transaction identifiers to set, by application; nil means none
	Info       map[string]string // noted in the log; nil means nothing

	Removes    []string          // names of data files to take out; nil means none
	Moved      bool              // the rows that the table has stay the same, they only move to other files
	Operation  string            // what the log calls the change; "" means WRITE
	Parameters map[string]string // of the operation, noted in the log; nil means mode Append
	Metrics    map[string]int64  // noted in the log beside those that are counted here; nil means none
}

// A Planner decides how a version of the table (nil: there is none) has to change; nil means not at all. It is called
// again when other writers have made a newer one.
type Planner func(ctx context.Context, base *Snapshot) (*Change, error)

// Append commits a change; see Update.
func (t *Table) Append(ctx context.Context, base *Snapshot, c Change) (int64, error) {
	return t.Update(ctx, base, func(context.Context, *Snapshot) (*Change, error) { return &c, nil })
}

// Update commits what is planned and returns the version that holds it, or the one that needs no change. base is the
// newest version known to the caller, or nil when there is no table. An error wrapping store.ErrConflict means that other writers won in every attempt, or have
// taken out a file that the change takes out; one wrapping ErrUnknown, that the change may or may not be made. After any other error it is not made and never will be.
func (t *Table) Update(ctx context.Context, base *Snapshot, plan Planner) (int64, error) {
	id := uuid.NewString()
	tries := t.Retries
	if tries <= 0 {
		tries = attempts
	}
	for try := range tries {
		c, err := plan(ctx, base)
		if err != nil {
			return 0, err
		}
		if c == nil {
			return version(base), nil
		}
		if err := c.fits(base); err != nil {
			return 0, fmt.Errorf("write to %s: %w", t.URI(), err)
		}
		actions, err := c.actions(base, id, time.Now())
		if err != nil {
			return 0, fmt.Errorf("write to %s: %w", t.URI(), err)
		}
		won, err := t.commit(ctx, version(base)+1, actions)
		if err != nil {
			return 0, fmt.Errorf("write to %s: %w", t.URI(), err)
		}
		if won != nil {
			t.advance(ctx, base, won, actions)
			return won.version, nil
		}
		if err := pause(ctx, try); err != nil {
			return 0, err
		}
		if base, err = t.Snapshot(ctx); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("write to %s: %w: lost to other writers %d times; try again", t.URI(), store.ErrConflict, tries)
}

// version is the number of a snapshot; nil stands for a table that is not there.
func version(s *Snapshot) int64 {
	if s == nil {
		return -1
	}
	return s.Version
}

// fits reports whether the change can still be made to a version that others may have made meanwhile.
func (c *Change) fits(base *Snapshot) error {
	if c.Expect != nil && *c.Expect != version(base) {
		return fmt.Errorf("%w: the table is at version %d, and the rows were made for version %d",
			store.ErrConflict, version(base), *c.Expect)
	}
	return c.checkRemoves(base)
}

// actions returns the lines of the commit after a version.
func (c *Change) actions(base *Snapshot, id string, now time.Time) ([]action, error) {
	info, err := c.commitInfo(id, now)
	if err != nil {
		return nil, err
	}
	actions := []action{{CommitInfo: info}}
	modified := now.UnixMilli()
	if base == nil {
		created, err := c.create(now)
		if err != nil {
			return nil, err
		}
		actions = append(actions, created...)
	} else {
		if err := base.Writable(); err != nil {
			return nil, err
		}
		changed, err := c.evolve(base)
		if err != nil {
			return nil, err
		}
		actions = append(actions, changed...)
		modified = max(modified, base.lastModified()+1) // see the order of files in the package comment
	}
	var there map[string]*File
	if len(c.Removes) > 0 {
		there = base.byName()
	}
	for i, add := range c.Files {
		add.Path = encodePath(add.Path)
		add.ModificationTime = modified + int64(i)
		add.DataChange = !c.Moved
		if add.PartitionValues == nil {
			add.PartitionValues = map[string]*string{}
		}
		if add.Replaces != "" {
			add.takePlace(there[add.Replaces])
		}
		actions = append(actions, action{Add: &add})
	}
	ms := now.UnixMilli()
	actions = append(actions, c.removes(there, ms)...)
	for _, app := range slices.Sorted(maps.Keys(c.Marks)) {
		actions = append(actions, action{Txn: &Txn{AppID: app, Version: c.Marks[app], LastUpdated: &ms}})
	}
	return actions, nil
}

// create returns the actions that make a table.
func (c *Change) create(now time.Time) ([]action, error) {
	columns, err := fromArrow(c.Schema.Fields())
	if err != nil {
		return nil, err
	}
	ms := now.UnixMilli()
	configuration := maps.Clone(c.Properties)
	if configuration == nil {
		configuration = map[string]string{}
	}
	return []action{
		{Protocol: protocolFor(nil, columns)},
		{MetaData: &MetaData{ID: uuid.NewString(), Format: Format{"parquet", map[string]string{}},
			SchemaString: columns.String(), PartitionColumns: []string{}, CreatedTime: &ms, Configuration: configuration}},
	}, nil
}

// evolve returns the actions that give a table the columns that it lacks. The files are written already: they must
// fit the table's columns as they are. They did when they were written; if another writer has since added a column
// of the same name and another type, the rows have to be converted anew.
func (c *Change) evolve(base *Snapshot) ([]action, error) {
	if c.Schema == nil {
		return nil, nil
	}
	schema, err := store.MergeSchema(base.Schema, c.Schema)
	if err != nil {
		return nil, err
	}
	if name, ok := sameTypes(c.Schema.Fields(), schema.Fields()); !ok {
		return nil, fmt.Errorf("%w: another writer has just given column %q another type; try again", store.ErrConflict, name)
	}
	if schema.Equal(base.Schema) {
		return nil, nil
	}
	columns, err := base.columns.merged(schema.Fields())
	if err != nil {
		return nil, err
	}
	var actions []action
	if p := protocolFor(&base.Protocol, columns); p != &base.Protocol {
		actions = append(actions, action{Protocol: p})
	}
	m := base.MetaData
	m.SchemaString = columns.String()
	return append(actions, action{MetaData: &m}), nil
}

// sameTypes reports whether each leaf column has the same type in the table, or names the column that has not.
func sameTypes(fields, table []arrow.Field) (string, bool) {
	for _, f := range fields {
		for _, t := range table {
			if t.Name != f.Name {
				continue
			}
			have, struct1 := f.Type.(*arrow.StructType)
			want, struct2 := t.Type.(*arrow.StructType)
			if struct1 && struct2 {
				if name, ok := sameTypes(have.Fields(), want.Fields()); !ok {
					return f.Name + "." + name, false
				}
			} else if f.Type.ID() != t.Type.ID() {
				return f.Name, false
			}
		}
	}
	return "", true
}

// commitInfo describes the commit for people. The id makes the bytes of each commit unlike those of all others.
func (c *Change) commitInfo(id string, now time.Time) (*CommitInfo, error) {
	var bytes int64
	for _, f := range c.Files {
		bytes += f.Size
	}
	operation, parameters := cmp.Or(c.Operation, "WRITE"), c.Parameters
	if parameters == nil {
		parameters = map[string]string{"mode": "Append"}
	}
	info := map[string]any{
		"timestamp": now.UnixMilli(), "operation": operation, "operationParameters": parameters,
		"engineInfo": engine(), "isBlindAppend": c.Expect == nil && len(c.Removes) == 0, "txnId": id,
		"operationMetrics": map[string]int64{"num_added_files": int64(len(c.Files)), "num_removed_files": int64(len(c.Removes)),
			"num_partitions": 0, "num_added_rows": c.Rows, "num_added_bytes": bytes},
	}
	maps.Copy(info["operationMetrics"].(map[string]int64), c.Metrics)
	for k, v := range c.Info {
		if _, taken := info[k]; taken {
			k = "info." + k
		}
		info[k] = v
	}
	raw, err := marshal(info)
	return &CommitInfo{Timestamp: now.UnixMilli(), Operation: operation, Raw: raw}, err
}

// commit creates the entry of a version. It returns nil without an error when another writer has created it. A
// storage that does not answer is asked again: the second time it says either yes, or what is there.
func (t *Table) commit(ctx context.Context, version int64, actions []action) (*logFile, error) {
	body, err := encodeCommit(actions)
	if err != nil {
		return nil, err
	}
	name := t.logPath(commitName(version))
	won := &logFile{Object: bucket.Object{Name: name, Size: int64(len(body))}, version: version, commit: true}
	for try := 0; ; try++ {
		err := t.Bucket.Create(ctx, name, body)
		if err == nil {
			return won, nil
		}
		if try == 0 && (errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrPermission)) {
			return nil, err // later it says nothing about the attempts before, which may still arrive
		}
		// Whether this attempt or an earlier one has made the entry, its content tells.
		there, readErr := t.readBack(ctx, version, int64(len(body)))
		switch {
		case readErr == nil && string(there) == string(body):
			return won, nil
		case readErr == nil:
			return nil, nil
		case try == 2 || ctx.Err() != nil:
			return nil, fmt.Errorf("%w: version %d: %w", ErrUnknown, version, err)
		}
		if err := pause(ctx, try); err != nil {
			return nil, fmt.Errorf("%w: version %d: %w", ErrUnknown, version, err)
		}
	}
}

// readBack reads the entry of a version, also when the caller has been cancelled: the answer decides what is told. Of an entry
// that is longer than one of the given size, only that much is read that it shows.
func (t *Table) readBack(ctx context.Context, version, size int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return t.read(ctx, commitName(version), size+1)
}

// advance takes a commit of our own over into the known state, and writes a checkpoint when one is due. The commit is
// made; nothing that goes wrong here can undo it, and readers do without a checkpoint.
func (t *Table) advance(ctx context.Context, base *Snapshot, f *logFile, actions []action) {
	r := replayFrom(base)
	if err := r.apply(*f, actions); err != nil {
		return
	}
	s, err := r.finish()
	if err != nil {
		return
	}
	t.remember(s)
	if !s.checkpointDue() && len(actions) <= longCommit {
		return
	}
	if err := t.Checkpoint(ctx, s); err == nil && s.tidyDue() {
		_ = t.tidyLog(ctx, s, time.Now())
	}
}

// longCommit is after how many actions in one commit there is a checkpoint at once: one that merged many small files has a
// long list of what is gone, and leaves a table that is short to describe.
const longCommit = 100

// pause waits a random time that grows with each try up to a second, so that writers who lose do not meet again.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(mathrand.N(10 * time.Millisecond << min(try, 7)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
