package systemtable

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// ErrPush reports a graph that cannot be recorded.
var ErrPush = errors.New("cannot record the graph")

// A Tag is what a user notes with a snapshot, such as the commit that it was made of.
type Tag struct {
	Name, Value string
}

// PushOptions says how to record. The zero value records the graph's own project.
type PushOptions struct {
	// Project is the project to record; "" means [feature.Graph.Project].
	Project string
	// Tags are stored with every row, in their order; nil stores Metaxy's own only.
	Tags []Tag
	// Now is the time of the push; the zero value is the current time.
	Now time.Time
}

// A PushResult says what a push has done.
type PushResult struct {
	// Project is the project whose features were recorded.
	Project string
	// ProjectVersion is the snapshot's version.
	ProjectVersion string
	// AlreadyPushed reports whether the last snapshot of the project is this one already.
	AlreadyPushed bool
	// Updated are the features of such a snapshot that were recorded again, because what is stored differs.
	Updated []feature.Key
	// Recorded is how many rows were written.
	Recorded int
}

// attempts is how often a push that meets others is tried.
const attempts = 50

// Push records the graph's features of one project, external ones left out. If the project's last snapshot has the same
// version, nothing is written, unless a stored definition differs. Pushes that meet are made one after the other, so that
// a snapshot is recorded once; each is recorded after everything that was there, whatever the clock says.
func Push(ctx context.Context, st store.Store, g *feature.Graph, o PushOptions) (PushResult, error) {
	rows, result, err := snapshotOf(g, o)
	if err != nil {
		return result, err
	}
	for try := 1; ; try++ {
		again, err := push(ctx, st, rows, o, &result)
		if !errors.Is(err, store.ErrConflict) || try == attempts {
			return again, err
		}
		if err := pause(ctx, try); err != nil {
			return result, err
		}
	}
}

// snapshotOf makes the rows of a project's features.
func snapshotOf(g *feature.Graph, o PushOptions) ([]Row, PushResult, error) {
	var result PushResult
	var err error
	if result.Project = o.Project; result.Project == "" {
		if result.Project, err = g.Project(); err != nil {
			return nil, result, err
		}
	}
	if result.Project == "" {
		return nil, result, fmt.Errorf("%w: the features belong to no project; set project in metaxy.toml, or METAXY_PROJECT",
			feature.ErrProject)
	}
	result.ProjectVersion = g.ProjectVersion(result.Project)
	tags, err := tagText(o.Tags)
	if err != nil {
		return nil, result, err
	}
	var rows []Row
	for f := range g.All() {
		if f.External() || f.Project() != result.Project {
			continue
		}
		r, err := rowOf(f)
		if err != nil {
			return nil, result, fmt.Errorf("%w: feature %q: %w", ErrPush, f.Key(), err)
		}
		r.Tags, r.ProjectVersion = tags, result.ProjectVersion
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, result, fmt.Errorf("%w: the project %q has no feature in the graph", ErrPush, result.Project)
	}
	return rows, result, nil
}

// push compares the rows with what is recorded and adds what is not. It fails with store.ErrConflict when others were
// faster.
func push(ctx context.Context, st store.Store, rows []Row, o PushOptions, made *PushResult) (PushResult, error) {
	result := *made
	t, err := Read(ctx, st)
	if err != nil {
		return result, err
	}
	if all := t.Snapshots(result.Project); len(all) > 0 && all[0].Version == result.ProjectVersion {
		result.AlreadyPushed = true
		rows = t.changed(rows, all[0])
		for _, r := range rows {
			result.Updated = append(result.Updated, r.Feature)
		}
	}
	if len(rows) == 0 {
		return result, nil
	}
	rec := record(rows, t.after(o.Now))
	_, err = st.Append(ctx, FeatureVersions, store.Write{
		Rows: one(rec), Expect: &t.Version, Info: map[string]string{"operation": "push", "project": result.Project},
	})
	if err != nil {
		return result, fmt.Errorf("record the graph: %w", err)
	}
	result.Recorded = len(rows)
	return result, nil
}

// changed are the rows that the snapshot does not have in this form.
func (t *Table) changed(rows []Row, s Snapshot) []Row {
	stored := map[feature.Key]string{}
	for _, r := range t.rows(s) {
		stored[r.Feature] = r.DefinitionVersion
	}
	var out []Row
	for _, r := range rows {
		if v, ok := stored[r.Feature]; !ok || v != r.DefinitionVersion {
			out = append(out, r)
		}
	}
	return out
}

// after is a time later than that of any recorded row: now, or right after the last.
func (t *Table) after(now time.Time) time.Time {
	if now.IsZero() {
		now = time.Now()
	}
	now = now.UTC().Truncate(time.Microsecond)
	if n := len(t.Rows); n > 0 && !now.After(t.Rows[n-1].RecordedAt) {
		now = t.Rows[n-1].RecordedAt.Add(time.Microsecond)
	}
	return now
}

// pause waits a little, the longer the more tries there were, so that those who meet part again.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(mathrand.N(2 * time.Millisecond << min(try, 7)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
