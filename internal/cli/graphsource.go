package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/feature/featurefile"
	"github.com/metaxy-pipes/metaxy-pipes/feature/lockfile"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/systemtable"
)

// A source is where the features of a command come from: files, the program and metaxy.lock, which need no store, and
// the graphs that the store holds.
type source struct {
	config *config.Config
	log    *slog.Logger
	local  []feature.Definition // of files, of the program and of metaxy.lock
	length int                  // of hashes; 0 keeps them whole
}

// source gathers what needs no store: the features of the flags, else of the configuration, else those compiled in; and
// beside them those of metaxy.lock, as external features.
func (a *app) source(c *config.Config, log *slog.Logger) (*source, error) {
	s := &source{config: c, log: log, length: c.HashTruncationLength}
	paths := a.global.features
	if len(paths) == 0 {
		paths = c.Pipes.Features
	}
	if len(paths) > 0 {
		defs, err := featurefile.Load(paths...)
		if err != nil {
			return nil, setup(err)
		}
		s.local = defs
	} else {
		s.local = slices.Clone(a.program.Definitions)
	}
	return s, s.addLocked()
}

// addLocked adds the features of metaxy.lock that are not declared elsewhere.
func (s *source) addLocked() error {
	path, named := s.config.LockFile()
	entries, err := lockfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if named {
			s.log.Warn("there is no lock file; external features are not loaded from it", "path", path)
		}
		return nil
	}
	if err != nil {
		return setup(err)
	}
	for _, e := range entries {
		declared := slices.ContainsFunc(s.local, func(d feature.Definition) bool {
			return d.Spec.Key == e.Definition.Spec.Key
		})
		if !declared {
			s.local = append(s.local, e.Definition)
		}
	}
	return nil
}

// needsStore reports whether the features are not complete without the store.
func (s *source) needsStore() bool {
	external := slices.ContainsFunc(s.local, func(d feature.Definition) bool { return d.External })
	return len(s.local) == 0 || s.config.Sync && (external || len(s.config.ExtraFeatures) > 0)
}

// errNoFeatures says how to name features.
func errNoFeatures() error {
	return setupf("no features: give --features FILE, name files in metaxy.toml: [ext.metaxy_pipes] " +
		"features = [\"features.yaml\"], or push a graph into the store")
}

// graph makes the graph of what needs no store.
func (s *source) graph() (*feature.Graph, error) { return s.graphOf(s.local, s.config.Project) }

func (s *source) graphOf(defs []feature.Definition, project string) (*feature.Graph, error) {
	return feature.NewGraph(defs, feature.Options{Project: project, TruncationLength: s.length})
}

// stored makes the graph with the help of the store: the last snapshot of the project if there are no features elsewhere,
// else those that there are, in which external features are as the store has them. Where nothing says how long hashes
// are, they are as long as those of the store's graphs, and h is told.
func (s *source) stored(ctx context.Context, r store.Reader, h *config.Hashing) (*feature.Graph, error) {
	t, err := systemtable.Read(ctx, r)
	if err != nil {
		return nil, err
	}
	s.measure(t, h)
	if len(s.local) == 0 {
		return s.lastSnapshot(t)
	}
	return s.synced(t)
}

// measure finds out how long hashes are.
func (s *source) measure(t *systemtable.Table, h *config.Hashing) {
	if n := len(t.Rows); !h.LengthSet && n > 0 && len(t.Rows[n-1].ProjectVersion) < wholeHash {
		h.TruncationLength = len(t.Rows[n-1].ProjectVersion)
	}
	s.length = h.TruncationLength
}

// wholeHash is the length of a version that is not cut.
const wholeHash = 64

// lastSnapshot is the graph that was pushed last.
func (s *source) lastSnapshot(t *systemtable.Table) (*feature.Graph, error) {
	project, err := s.projectIn(t)
	if err != nil {
		return nil, err
	}
	snap, err := t.Find(project, "latest")
	if err != nil {
		return nil, setup(err)
	}
	return s.snapshotGraph(t, snap)
}

// projectIn is the configured project, else the only one that has recorded a graph.
func (s *source) projectIn(t *systemtable.Table) (string, error) {
	if s.config.Project != "" && len(t.Rows) > 0 {
		return s.config.Project, nil
	}
	switch projects := t.Projects(); len(projects) {
	case 0:
		return "", errNoFeatures()
	case 1:
		return projects[0], nil
	default:
		return "", setupf("the store holds graphs of the projects %s; set project in metaxy.toml, or METAXY_PROJECT",
			strings.Join(projects, ", "))
	}
}

// snapshotGraph is the graph of a snapshot, with the definitions of other projects' features as they are now.
func (s *source) snapshotGraph(t *systemtable.Table, snap systemtable.Snapshot) (*feature.Graph, error) {
	defs, err := t.Definitions(snap)
	s.warnAbout(err)
	g, err := s.graphOf(defs, snap.Project)
	if err != nil {
		return nil, fmt.Errorf("the graph %s that project %s has pushed: %w", snap.Version, snap.Project, err)
	}
	return g, nil
}

// warnAbout passes stored definitions that cannot be read to the log; they are passed over, as in Metaxy.
func (s *source) warnAbout(problems error) {
	if problems != nil {
		s.log.Warn("stored features are passed over because they cannot be read", "problem", problems)
	}
}

// synced replaces external features by the definitions that the store holds, and adds the configured extra ones.
func (s *source) synced(t *systemtable.Table) (*feature.Graph, error) {
	var sel systemtable.Selection
	for _, x := range s.config.ExtraFeatures {
		sel.All = sel.All || x.All
		sel.Projects = append(sel.Projects, x.Projects...)
		sel.Keys = append(sel.Keys, x.Keys...)
	}
	for _, d := range s.local {
		if d.External {
			sel.Keys = append(sel.Keys, d.Spec.Key)
		}
	}
	found, problems := t.Latest(s.config.Project, sel, s.local)
	s.warnAbout(problems)
	stored := map[feature.Key]bool{}
	for _, d := range found {
		stored[d.Spec.Key] = true
	}
	defs := slices.Clone(found)
	var unresolved []string
	for _, d := range s.local {
		if stored[d.Spec.Key] {
			continue
		}
		defs = append(defs, d)
		if d.External {
			unresolved = append(unresolved, string(d.Spec.Key))
		}
	}
	if len(unresolved) > 0 {
		s.log.Warn("the store holds no definition of external features; they are used as declared",
			"features", strings.Join(unresolved, ", "))
	}
	g, err := s.graphOf(defs, s.config.Project)
	if err != nil {
		return nil, err
	}
	return g, s.compareVersions(g, stored)
}

// compareVersions looks for external features that have another version in the store than where they are declared.
func (s *source) compareVersions(g *feature.Graph, stored map[feature.Key]bool) error {
	declared, err := s.graph()
	if err != nil {
		return nil // the declarations alone are no graph, so that they have no versions
	}
	var errs []error
	for _, d := range s.local {
		before, err := declared.Lookup(d.Spec.Key)
		if err != nil || !d.External || !stored[d.Spec.Key] {
			continue
		}
		after, err := g.Lookup(d.Spec.Key)
		if err != nil || before.Version() == after.Version() {
			continue
		}
		if s.config.Locked || d.StrictVersion {
			errs = append(errs, fmt.Errorf("external feature %s: declared is version %s, and the store has %s",
				d.Spec.Key, before.Version(), after.Version()))
			continue
		}
		s.log.Warn("an external feature has another version in the store than declared; the store's is used",
			"feature", string(d.Spec.Key), "declared", before.Version(), "stored", after.Version())
	}
	if len(errs) > 0 {
		return setupf("%w; run metaxy lock, or set locked = false to go on with the store's", errors.Join(errs...))
	}
	return nil
}
