package config

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/metaxy-pipes/metaxy-pipes/engine"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// OpenStore opens a store together with those that it falls back to. These are looked for and opened when a table is not
// in the stores before them, as in Metaxy, and are only read. Nothing has to exist at the location.
func (c *Config) OpenStore(ctx context.Context, s StoreConfig) (store.Store, error) {
	s.MapVersions = c.MapVersions
	st, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	if len(s.Fallbacks) == 0 {
		return st, nil
	}
	out := &chain{}
	for _, name := range s.Fallbacks {
		out.links = append(out.links, &link{config: c, above: s, name: name, path: []string{s.Name}})
	}
	readers := make([]store.Reader, len(out.links))
	for i, l := range out.links {
		readers[i] = l
	}
	out.Fallback = store.WithFallback(st, readers...)
	return out, nil
}

// A chain is a store with its fallback stores, which it closes.
type chain struct {
	*store.Fallback
	links []*link
}

// Close implements store.Store.
func (c *chain) Close() error {
	errs := []error{c.Fallback.Close()}
	for _, l := range c.links {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// A link is a fallback store that is opened when it is first asked.
type link struct {
	config *Config
	above  StoreConfig // the store that falls back to it
	name   string
	path   []string // the stores that led here

	mu   sync.Mutex
	open *store.Fallback // nil before
	next []*link
}

// Snapshot implements store.Reader.
func (l *link) Snapshot(ctx context.Context, key feature.Key) (store.Snapshot, error) {
	st, err := l.store(ctx)
	if err != nil {
		return nil, fmt.Errorf("store %q: %w", l.name, err)
	}
	return st.Snapshot(ctx, key)
}

// Usage is what was asked of the store, and of those that it falls back to.
func (l *link) Usage() store.Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return store.Usage{}
	}
	return l.open.Usage()
}

// store opens the store, unless it is open. What failed is tried again the next time.
func (l *link) store(ctx context.Context) (store.Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil {
		return l.open, nil
	}
	path := append(slices.Clone(l.path), l.name)
	if slices.Contains(l.path, l.name) {
		return nil, unusable("the stores fall back to each other in a circle: %s", strings.Join(path, " -> "))
	}
	s, ok := l.config.Stores[l.name]
	if !ok {
		return nil, unusable("there is no such store%s", l.config.storeNames())
	}
	if err := l.sameAlgorithm(s); err != nil {
		return nil, err
	}
	st, err := s.Open(ctx)
	if err != nil {
		return nil, err
	}
	var readers []store.Reader
	for _, name := range s.Fallbacks {
		next := &link{config: l.config, above: s, name: name, path: path}
		l.next, readers = append(l.next, next), append(readers, next)
	}
	l.open = store.WithFallback(st, readers...)
	return l.open, nil
}

// sameAlgorithm refuses a store whose rows are hashed in another way than those of the store above it: its versions would
// be compared with others that can never be equal.
func (l *link) sameAlgorithm(s StoreConfig) error {
	if s.Unusable != nil {
		return s.Unusable
	}
	above, here := algorithm(l.config, l.above), algorithm(l.config, s)
	if above != here {
		return unusable("it uses hash_algorithm %s, and store %q, which falls back to it, %s: all stores of a chain must use "+
			"the same", here, l.above.Name, above)
	}
	return nil
}

func algorithm(c *Config, s StoreConfig) engine.Hash {
	if a := c.Hashing(s).Algorithm; a != "" {
		return a
	}
	return defaultAlgorithm
}

func (l *link) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		return nil
	}
	errs := []error{l.open.Close()}
	for _, next := range l.next {
		errs = append(errs, next.close())
	}
	l.open, l.next = nil, nil
	return errors.Join(errs...)
}
