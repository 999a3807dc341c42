package cli

import (
	"context"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

// A side is one of the two graphs of a diff.
type side struct {
	graph    *feature.Graph
	project  string
	snapshot *systemtable.Snapshot // nil for the current graph
}

// version is the project version of the side.
func (s *side) version() string {
	if s.snapshot != nil {
		return s.snapshot.Version
	}
	return s.graph.ProjectVersion(s.project)
}

// sides makes both graphs, with hashes as the store's rows have them.
func (e *Env) sides(ctx context.Context, src *source, h config.Hashing, names [2]string) (sides [2]*side, err error) {
	t, err := systemtable.Read(ctx, e.Store)
	if err != nil {
		return sides, err
	}
	src.measure(t, &h)
	if sides[1], err = src.side(t, names[1]); err != nil {
		return sides, err
	}
	e.Graph = sides[1].graph
	if err := e.ask(ctx, e.Store, h, src); err != nil {
		return sides, err
	}
	sides[1].graph, src.length = e.Graph, e.Hashing.TruncationLength
	sides[0], err = src.side(t, names[0])
	return sides, err
}

// side makes the graph that a name means.
func (s *source) side(t *systemtable.Table, name string) (*side, error) {
	if name != currentGraph {
		return s.recordedSide(t, name)
	}
	var g *feature.Graph
	var err error
	switch {
	case len(s.local) == 0:
		return s.recordedSide(t, latestGraph)
	case s.needsStore():
		g, err = s.synced(t)
	default:
		g, err = s.graph()
	}
	if err != nil {
		return nil, err
	}
	project, err := g.Project()
	return &side{graph: g, project: project}, err
}

// recordedSide makes the graph of a snapshot.
func (s *source) recordedSide(t *systemtable.Table, name string) (*side, error) {
	project := s.config.Project
	if len(t.Rows) > 0 {
		var err error
		if project, err = s.projectIn(t); err != nil {
			return nil, err
		}
	}
	snap, err := t.Find(project, name)
	if err != nil {
		return nil, err
	}
	g, err := s.snapshotGraph(t, snap)
	return &side{graph: g, project: snap.Project, snapshot: &snap}, err
}
