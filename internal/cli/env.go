package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// open makes what most commands work on. The caller closes Env.Store.
func (a *app) open(ctx context.Context, log *slog.Logger) (*Env, error) {
	e, src, err := a.openGraph(log)
	if err != nil {
		return nil, err
	}
	if err := a.connect(ctx, e, src); err != nil {
		return nil, err
	}
	return e, nil
}

// connect opens the store, and completes what only the store may know: the graph, and how its rows are hashed.
func (a *app) connect(ctx context.Context, e *Env, src *source) error {
	st, h, err := a.openStore(ctx, e)
	if err != nil {
		return e.explainLocate(src, err)
	}
	if err := e.ask(ctx, st, h, src); err != nil {
		return errors.Join(err, st.Close())
	}
	e.Store, e.StoreInfo = st, a.storeInfo(e.Config, st)
	return nil
}

// openGraph makes an Env without a store. Its graph is nil if it needs one; else its versions are those that the
// configuration alone asks for.
func (a *app) openGraph(log *slog.Logger) (*Env, *source, error) {
	c, err := a.loadConfig(log)
	if err != nil {
		return nil, nil, err
	}
	src, err := a.source(c, log)
	if err != nil {
		return nil, nil, err
	}
	e := &Env{Config: c, Log: log, Stdin: a.stdin, Stdout: a.stdout, Stderr: a.stderr,
		jsonLog: a.global.logFormat == "json", MemoryLimit: a.global.memory.bytes()}
	if !src.needsStore() {
		e.Graph, err = src.graph()
	}
	return e, src, err
}

// ask finds out what only the store knows: the graph, if it needs the store, and how the rows are hashed.
func (e *Env) ask(ctx context.Context, st store.Reader, h config.Hashing, src *source) error {
	if e.Graph == nil {
		var err error
		if e.Graph, err = src.stored(ctx, st, &h); err != nil {
			return err
		}
	}
	found, err := settle(ctx, st, e.Graph, h, e.Log)
	if err != nil {
		return err
	}
	e.Hashing = found
	return e.retruncate()
}

// explainLocate says of the error about a store that is not named that features are not either, if so.
func (e *Env) explainLocate(src *source, err error) error {
	if src != nil && len(src.local) == 0 && errors.Is(err, config.ErrNoStore) {
		return errNoFeatures()
	}
	return err
}

// openStore opens the store of the flags or the environment, else the compiled-in one, else the configuration's.
func (a *app) openStore(ctx context.Context, e *Env) (store.Store, config.Hashing, error) {
	if a.program.Store != nil && !a.storeNamed() {
		st, h, err := a.program.Store(ctx)
		if h.TruncationLength == 0 {
			h.TruncationLength = e.Config.HashTruncationLength
		}
		return st, config.Hashing{Hashing: h, AlgorithmSet: h.Algorithm != "", LengthSet: h.TruncationLength != 0}, err
	}
	sc, err := e.Config.Locate(a.global.store)
	if err != nil {
		return nil, config.Hashing{}, err
	}
	h := e.Config.Hashing(sc)
	if sc.Type == config.MetaxyDelta {
		warnMetaxyDefaults(e.Log, sc, h)
	}
	st, err := e.Config.OpenStore(ctx, sc)
	if err != nil {
		return nil, config.Hashing{}, err
	}
	return st, h, nil
}

// storeNamed reports whether the user names a store that takes the place of a compiled-in one.
func (a *app) storeNamed() bool {
	if a.global.store != "" {
		return true
	}
	return lookupEnv(a.environ, "METAXY_STORE") != ""
}

// warnMetaxyDefaults says what short hashes risk.
func warnMetaxyDefaults(log *slog.Logger, sc config.StoreConfig, h config.Hashing) {
	if h.TruncationLength > 0 && h.TruncationLength < 16 {
		log.Warn("hashes are cut as Metaxy does by default: about one change in 10^8 goes unnoticed; set "+
			"hash_truncation_length = 64 and hash_algorithm = \"xxh3_64\" for a new store",
			"store", sc.Name, "hash_algorithm", string(h.Algorithm), "hash_truncation_length", h.TruncationLength)
	}
}

// retruncate recomputes the graph's versions if the store's hashes have another length than the configuration's.
func (e *Env) retruncate() error {
	o := e.Graph.Options()
	if o.TruncationLength == e.Hashing.TruncationLength {
		return nil
	}
	o.TruncationLength = e.Hashing.TruncationLength
	g, err := e.Graph.With(o)
	if err != nil {
		return err
	}
	e.Graph = g
	return nil
}

// settle finds out how the rows of a store are hashed: as configured; else as the first table says that records it or
// whose rows tell; else by default. What is configured against what a table records is found by Hashing.Check. A
// damaged table is passed over: it stops those commands that need it.
func settle(
	ctx context.Context, st store.Reader, g *feature.Graph, h config.Hashing, log *slog.Logger,
) (engine.Hashing, error) {
	if h.AlgorithmSet && h.LengthSet {
		return h.Hashing, nil
	}
	for f := range g.All() {
		found, recorded, ok, err := hashingOf(ctx, st, f)
		if errors.Is(err, store.ErrNoTable) || errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrUnsupported) {
			continue
		}
		if err != nil {
			return engine.Hashing{}, err
		}
		if !ok {
			continue
		}
		if !h.AlgorithmSet {
			h.Algorithm = found.Algorithm
		}
		if !h.LengthSet {
			h.TruncationLength = found.TruncationLength
		}
		if !recorded {
			log.Info("the tables do not record how they are hashed; found out from their rows", "feature", string(f.Key()),
				"hash_algorithm", string(h.Algorithm), "hash_truncation_length", h.TruncationLength)
		}
		return h.Hashing, nil
	}
	return h.Hashing, nil
}

// hashingOf is what a table records about its hashes, or what its rows tell.
func hashingOf(
	ctx context.Context, st store.Reader, f *feature.Feature,
) (h engine.Hashing, recorded, ok bool, err error) {
	snap, err := st.Snapshot(ctx, f.Key())
	if err != nil {
		return engine.Hashing{}, false, false, err
	}
	if h, ok, err = engine.RecordedHashing(snap); ok || err != nil {
		return h, ok, ok, err
	}
	h, ok, err = engine.DetectHashing(ctx, snap, f)
	return h, false, ok, err
}

// features are the named features, or all of the graph in its order.
func (e *Env) features(names []string) ([]*feature.Feature, error) {
	var found []*feature.Feature
	for _, name := range names {
		f, err := e.feature(name)
		if err != nil {
			return nil, err
		}
		found = append(found, f)
	}
	if len(names) == 0 {
		for f := range e.Graph.All() {
			found = append(found, f)
		}
	}
	return found, nil
}

func (e *Env) feature(name string) (*feature.Feature, error) {
	key, err := feature.ParseKey(name)
	if err != nil {
		return nil, setup(err)
	}
	return e.Graph.Lookup(key)
}

// MissingTable says of an error of a run that wraps store.ErrNoTable which table the feature lacks and what to do. Other errors
// are returned as they are.
func (e *Env) MissingTable(ctx context.Context, err error, key feature.Key) error {
	f, unknown := e.Graph.Lookup(key)
	if unknown != nil {
		return err
	}
	return e.missingTable(ctx, err, f)
}

// missingTable says of an error that wraps store.ErrNoTable which table is missing and what to do. Other errors are
// returned as they are.
func (e *Env) missingTable(ctx context.Context, err error, f *feature.Feature) error {
	if !errors.Is(err, store.ErrNoTable) {
		return err
	}
	chain := []*feature.Feature{f}
	for _, p := range f.Parents() {
		if !p.Dep.Optional {
			chain = append(chain, p.Feature)
		}
	}
	// What is missing is a parent's table if there is one, because a feature's own may be missing.
	for i := len(chain) - 1; i >= 0; i-- {
		missing := chain[i]
		if _, snapErr := e.Store.Snapshot(ctx, missing.Key()); !errors.Is(snapErr, store.ErrNoTable) {
			continue
		}
		return ownTable(err, missing)
	}
	return err
}

// ownTable says of an error that wraps store.ErrNoTable that the feature's own table is missing, and what to do. Other
// errors are returned as they are.
func ownTable(err error, f *feature.Feature) error {
	if !errors.Is(err, store.ErrNoTable) {
		return err
	}
	do := "run it first"
	if f.Root() {
		do = "ingest it first"
	}
	return &noTable{fmt.Sprintf("there is no table of %s: %s, or check --store", f.Key(), do), err}
}

// A noTable is an error about a missing table in words for people.
type noTable struct {
	text string
	err  error
}

func (e *noTable) Error() string { return e.text }

func (e *noTable) Unwrap() error { return e.err }

func lookupEnv(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if v := environ[i]; len(v) > len(name) && v[:len(name)] == name && v[len(name)] == '=' {
			return v[len(name)+1:]
		}
	}
	return ""
}
