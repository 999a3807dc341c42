package cli

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/metaxy-pipes/metaxy-pipes/internal/config"
	"github.com/metaxy-pipes/metaxy-pipes/store"
)

// A StoreInfo says which store it is, in the words of Metaxy's events. The zero value is a store that nobody named.
type StoreInfo struct {
	// Name is the store's name in the configuration; nil for one that was given as a location.
	Name *string `json:"name"`
	// Type is the type as the configuration names it.
	Type string `json:"type"`
	// Display is the store in one line for people, without credentials.
	Display string `json:"display"`
}

// An Origin is where the rows of an event are, as Metaxy's metaxy/store has it.
type Origin struct {
	StoreInfo
	VersioningEngine string   `json:"versioning_engine"`
	ResolvedFrom     Resolved `json:"resolved_from"`
}

// A Resolved is the store and the table that rows were really read from.
type Resolved struct {
	StoreInfo
	URI string `json:"uri"`
}

// versioningEngine is what computes versions; Metaxy has the name of a dataframe library here.
const versioningEngine = "metaxy-pipes"

// Table is the origin of a table of the store.
func (s StoreInfo) Table(uri string) Origin {
	return Origin{StoreInfo: s, VersioningEngine: versioningEngine, ResolvedFrom: Resolved{StoreInfo: s, URI: uri}}
}

// storeInfo describes the store that openStore opens, without opening it; st is the open one, or nil.
func (a *app) storeInfo(c *config.Config, st store.Store) StoreInfo {
	if a.program.Store != nil && !a.storeNamed() {
		if st == nil {
			return StoreInfo{}
		}
		kind := strings.TrimPrefix(fmt.Sprintf("%T", st), "*")
		if l, ok := st.(interface{ Location() string }); ok {
			return StoreInfo{Type: config.S3Parquet.String(), Display: display(config.S3Parquet.String(), l.Location())}
		}
		return StoreInfo{Type: kind, Display: kind}
	}
	sc, err := c.Locate(a.global.store)
	if err != nil {
		return StoreInfo{}
	}
	info := StoreInfo{Type: sc.Type.String()}
	if sc.Name != "" {
		info.Name = &sc.Name
	}
	info.Display = display(info.Type[strings.LastIndexByte(info.Type, '.')+1:], sc.Root)
	return info
}

func display(kind, location string) string {
	return kind + "(path=" + withoutCredentials(location) + ")"
}

// withoutCredentials takes the user and the query out of a URI; a path stays as it is.
func withoutCredentials(location string) string {
	if !strings.Contains(location, "://") {
		return location
	}
	u, err := url.Parse(location)
	if err != nil {
		return location[:strings.Index(location, "://")+3] + "…"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}
