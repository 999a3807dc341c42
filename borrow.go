package metaxy

import (
	"fmt"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/internal/cli"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

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

// A named store knows which one it is.
type named struct {
	borrowed
	info cli.StoreInfo
}

// storeInfo is what the command line knows of a store, or what can be seen of one that was opened elsewhere.
func storeInfo(st store.Store) cli.StoreInfo {
	if n, ok := st.(named); ok {
		return n.info
	}
	kind := strings.TrimPrefix(fmt.Sprintf("%T", st), "*")
	return cli.StoreInfo{Type: kind, Display: kind}
}
