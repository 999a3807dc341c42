package metaxy

import "github.com/metaxy-pipes/metaxy-pipes/store"

// A borrowed store is closed by its owner.
type borrowed struct{ store.Store }

// Close does nothing.
func (borrowed) Close() error { return nil }

// Usage is the owner's.
func (b borrowed) Usage() store.Usage {
	u, _ := store.UsageOf(b.Store)
	return u
}

// Local implements what store.Local asks for: the owner's own tables.
func (b borrowed) Local() store.Reader { return store.Local(b.Store) }
